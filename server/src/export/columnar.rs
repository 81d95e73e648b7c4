//! Arrow and Parquet, by arrow-rs. Rows are gathered into batches, so that memory is that of a batch or row group.

use std::{io::Write, sync::Arc};

use arrow_array::{
    RecordBatch,
    builder::{ArrayBuilder, Float64Builder, StringBuilder, TimestampMillisecondBuilder, UInt64Builder},
};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use parquet::{arrow::ArrowWriter, errors::ParquetError, file::properties::WriterProperties};

use super::{Cell, ExportError, Sink, Type, What};

/// Rows of a batch.
const BATCH: usize = 8_192;
/// Rows of a row group of Parquet.
const ROW_GROUP: usize = 8 * BATCH;

impl From<ArrowError> for ExportError {
    fn from(error: ArrowError) -> Self {
        ParquetError::from(error).into()
    }
}

/// The columns of a table; all may be unknown but the first.
fn schema(what: What) -> Arc<Schema> {
    let field = |(i, column): (usize, &super::Column)| {
        let of = match column.of {
            Type::Time => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
            Type::Text => DataType::Utf8,
            Type::Integer => DataType::UInt64,
            Type::Real => DataType::Float64,
        };
        Field::new(column.name, of, i > 0)
    };
    Arc::new(Schema::new(
        what.columns().iter().enumerate().map(field).collect::<Vec<_>>(),
    ))
}

enum Builder {
    Time(TimestampMillisecondBuilder),
    Text(StringBuilder),
    Integer(UInt64Builder),
    Real(Float64Builder),
}

impl Builder {
    fn of(of: Type) -> Self {
        match of {
            Type::Time => Self::Time(TimestampMillisecondBuilder::new().with_timezone("UTC")),
            Type::Text => Self::Text(StringBuilder::new()),
            Type::Integer => Self::Integer(UInt64Builder::new()),
            Type::Real => Self::Real(Float64Builder::new()),
        }
    }

    fn push(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (Self::Time(to), Cell::Time(t_ms)) => to.append_value(*t_ms),
            (Self::Text(to), Cell::Text(text)) => to.append_value(text),
            (Self::Integer(to), Cell::Integer(n)) => to.append_value(*n),
            (Self::Real(to), Cell::Real(x)) => to.append_value(*x),
            (Self::Time(to), _) => to.append_null(),
            (Self::Text(to), _) => to.append_null(),
            (Self::Integer(to), _) => to.append_null(),
            (Self::Real(to), _) => to.append_null(),
        }
    }

    fn array(&mut self) -> arrow_array::ArrayRef {
        match self {
            Self::Time(b) => ArrayBuilder::finish(b),
            Self::Text(b) => ArrayBuilder::finish(b),
            Self::Integer(b) => ArrayBuilder::finish(b),
            Self::Real(b) => ArrayBuilder::finish(b),
        }
    }
}

/// Rows on their way to a file.
struct Batch {
    schema: Arc<Schema>,
    columns: Vec<Builder>,
    rows: usize,
}

impl Batch {
    fn new(what: What) -> Self {
        Self {
            schema: schema(what),
            columns: what.columns().iter().map(|c| Builder::of(c.of)).collect(),
            rows: 0,
        }
    }

    /// Adds a row; the batch when it is full.
    fn push(&mut self, cells: &[Cell<'_>]) -> Result<Option<RecordBatch>, ArrowError> {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.push(cell);
        }
        self.rows += 1;
        if self.rows < BATCH {
            return Ok(None);
        }
        self.take().map(Some)
    }

    fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let arrays = self.columns.iter_mut().map(Builder::array).collect();
        RecordBatch::try_new(Arc::clone(&self.schema), arrays)
    }
}

/// Writes an Arrow file (the file format of IPC).
pub struct Arrow<W: Write> {
    batch: Batch,
    file: FileWriter<W>,
}

impl<W: Write> Arrow<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(out: W, what: What) -> Result<Self, ExportError> {
        let batch = Batch::new(what);
        let file = FileWriter::try_new(out, &batch.schema)?;
        Ok(Self { batch, file })
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<W, ExportError> {
        self.file.write(&self.batch.take()?)?;
        let mut out = self.file.into_inner()?;
        out.flush()?;
        Ok(out)
    }
}

impl<W: Write> Sink for Arrow<W> {
    fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), ExportError> {
        if let Some(batch) = self.batch.push(cells)? {
            self.file.write(&batch)?;
        }
        Ok(())
    }
}

/// Writes a Parquet file, not compressed.
pub struct Parquet<W: Write + Send> {
    batch: Batch,
    file: ArrowWriter<W>,
}

impl<W: Write + Send> Parquet<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(out: W, what: What) -> Result<Self, ExportError> {
        let batch = Batch::new(what);
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build();
        let file = ArrowWriter::try_new(out, Arc::clone(&batch.schema), Some(properties))?;
        Ok(Self { batch, file })
    }

    /// Ends the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<W, ExportError> {
        self.file.write(&self.batch.take()?)?;
        let mut out = self.file.into_inner()?;
        out.flush()?;
        Ok(out)
    }
}

impl<W: Write + Send> Sink for Parquet<W> {
    fn row(&mut self, cells: &[Cell<'_>]) -> Result<(), ExportError> {
        if let Some(batch) = self.batch.push(cells)? {
            self.file.write(&batch)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use arrow_array::{Array as _, Float64Array, StringArray, TimestampMillisecondArray, UInt64Array};
    use arrow_ipc::reader::FileReader;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    /// More rows than two batches.
    const ROWS: u64 = 20_000;

    fn fill(sink: &mut dyn Sink) {
        for i in 0..ROWS {
            let time = Cell::Time(1_000 * i as i64);
            let mean = if i % 3 == 0 {
                Cell::None
            } else {
                Cell::Real(i as f64 / 8.0)
            };
            let cells = [
                time.clone(),
                time,
                Cell::Text(format!("1-{i}").into()),
                Cell::Integer(i),
            ];
            let rest = [Cell::Integer(0), mean, Cell::None, Cell::None, Cell::None];
            sink.row(&[cells.as_slice(), rest.as_slice()].concat()).unwrap();
        }
    }

    fn check(batches: Vec<RecordBatch>) {
        let mut at = 0;
        for batch in batches {
            assert_eq!(batch.schema(), schema(What::Links));
            let column = |i: usize| batch.column(i).as_any();
            let time = column(1).downcast_ref::<TimestampMillisecondArray>().unwrap();
            let link = column(2).downcast_ref::<StringArray>().unwrap();
            let reports = column(3).downcast_ref::<UInt64Array>().unwrap();
            let mean = column(5).downcast_ref::<Float64Array>().unwrap();
            for row in 0..batch.num_rows() {
                assert_eq!(time.value(row), 1_000 * at as i64);
                assert_eq!(link.value(row), format!("1-{at}"));
                assert_eq!(reports.value(row), at);
                assert_eq!(mean.is_null(row), at % 3 == 0);
                assert!(mean.is_null(row) || mean.value(row) == at as f64 / 8.0);
                at += 1;
            }
        }
        assert_eq!(at, ROWS);
    }

    #[test]
    fn arrow_comes_back() {
        let mut file = Arrow::new(Vec::new(), What::Links).unwrap();
        fill(&mut file);
        let bytes = file.finish().unwrap();
        let reader = FileReader::try_new(Cursor::new(bytes), None).unwrap();
        check(reader.collect::<Result<_, _>>().unwrap());
    }

    #[test]
    fn parquet_comes_back() {
        let mut file = Parquet::new(Vec::new(), What::Links).unwrap();
        fill(&mut file);
        let bytes = file.finish().unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(axum::body::Bytes::from(bytes)).unwrap();
        check(reader.build().unwrap().collect::<Result<_, _>>().unwrap());
    }
}
