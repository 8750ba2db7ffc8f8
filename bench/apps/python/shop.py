"""The shop's database, for both frameworks. Run as a script, it makes the file that BENCH_DB names."""

import os
import sqlite3

PATH = os.environ.get("BENCH_DB", "shop.db")


def make_database():
    if os.path.exists(PATH):
        os.unlink(PATH)
    with sqlite3.connect(PATH) as connection:
        connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL)")
        rows = [(number, f"Item <{number}>", number * 7 % 1000) for number in range(1, 501)]
        connection.executemany("INSERT INTO item VALUES (?, ?, ?)", rows)


if __name__ == "__main__":
    make_database()
