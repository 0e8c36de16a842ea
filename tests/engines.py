"""A Spark of this machine, one for the whole run of the tests."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa

SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",  # compiling takes longer than a few thousand rows
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.memory": "1g",
    # a short life: the quick compiler alone, one thread to collect garbage
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.log.level": "ERROR",
}


@contextmanager
def spark() -> Iterator[Any]:
    """Give ibis on a local Spark with two threads."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").appName("cxlib tests")
    for name, value in SETTINGS.items():
        builder = builder.config(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # py4j's sockets
        session = builder.getOrCreate()
        yield ibis.pyspark.connect(session)
        session.stop()


def to_spark(connection: Any, name: str, frame: pd.DataFrame) -> ibis.Table:
    """Return rows as a table of Spark's, times in microseconds without a zone."""
    times = {
        column: frame[column].astype("datetime64[us]")
        for column in frame.select_dtypes("datetime").columns
    }
    rows = pa.Table.from_pandas(frame.assign(**times), preserve_index=False)
    connection._session.createDataFrame(rows).createOrReplaceTempView(name)
    return connection.table(name)
