/* SPDX-License-Identifier: Apache-2.0 */
/* A read-only connection to a database that another process may be writing. Private to this floor. */
#pragma once

#include "db.h"

extern const struct davy_db_schema davy_ledger_schema;
extern const struct davy_db_schema davy_readings_schema;

/* From this schema on a ledger knows its ends, its sums, and the event before each action. */
#define DAVY_LEDGER_WHOLE_SINCE 5

struct reader {
    struct davy_db db;
    int64_t version; /* of the schema of the file */
    char *error;
    size_t error_size;
};

#define READER_INIT ((struct reader){.error = NULL})

/*
 * Open `file`, which must be a database of `schema`, of this version or an older one. -EAGAIN where that file is begun
 * anew or set aside meanwhile: it is not whole.
 * error     takes a sentence at each failure; must outlive the reader
 */
int davy_reader_open(struct reader *reader, const char *file, const struct davy_db_schema *schema, char *error,
                     size_t error_size) DAVY_MUST_CHECK;
void davy_reader_close(struct reader *reader);

int davy_reader_prepare(struct reader *reader, const char *sql, sqlite3_stmt **ret_statement) DAVY_MUST_CHECK;

/* As davy_db_step(). */
int davy_reader_step(struct reader *reader, sqlite3_stmt *statement) DAVY_MUST_CHECK;

/* Write the sentence "FILE: what"; returns error. */
int davy_reader_fail(struct reader *reader, int error, const char *what);
