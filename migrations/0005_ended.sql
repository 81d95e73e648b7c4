-- Finds the intervals of the world graph that are past their time.
CREATE INDEX world_node_ended ON world_node (to_seq) WHERE to_seq IS NOT NULL;
CREATE INDEX world_edge_ended ON world_edge (to_seq) WHERE to_seq IS NOT NULL;
