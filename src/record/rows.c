/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of readings on their way into the last partition, many to a statement. */
#include "readings_internal.h"

#define COLUMNS 4

/* Bind a row as the `position`-th of its statement. */
static int bind_row(sqlite3_stmt *statement, int position, const struct readings_row *row)
{
    int first = position * COLUMNS;
    int result = sqlite3_bind_int64(statement, first + 1, row->time_us);
    if (result == SQLITE_OK)
        result = sqlite3_bind_int64(statement, first + 2, row->point);
    if (result == SQLITE_OK)
        result = sqlite3_bind_double(statement, first + 3, row->value);
    if (result == SQLITE_OK)
        result = sqlite3_bind_int64(statement, first + 4, row->code);
    return result;
}

/* One statement with `count` rows from `from` on. */
static int insert(struct davy_readings *readings, sqlite3_stmt *statement, size_t from, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int result = bind_row(statement, (int)i, &readings->rows[from + i]);
        if (result != SQLITE_OK)
            return davy_db_result(&readings->db, result);
    }
    return davy_db_run(&readings->db, statement);
}

int davy_rows_add(struct davy_readings *readings, const struct readings_row *row)
{
    readings->rows[readings->row_count++] = *row;
    if (readings->row_count < READINGS_ROWS)
        return 0;
    readings->row_count = 0;
    return insert(readings, readings->insert_many, 0, READINGS_ROWS);
}

int davy_rows_flush(struct davy_readings *readings)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < readings->row_count; i++)
        r = insert(readings, readings->insert, i, 1);
    readings->row_count = 0;
    return r;
}
