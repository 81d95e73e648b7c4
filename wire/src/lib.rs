//! Datagram and recording formats: bytes to typed frames and back, no sockets.
