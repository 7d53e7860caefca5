// Package sqldb opens the SQL databases that mp3lathe keeps its rows in: MySQL (or
// MariaDB) for a fleet, an SQLite file for a single process. It holds what the
// stores share, so that each of them writes its queries once:
//
//	db, err := sqldb.Open(ctx, "mysql://lathe:secret@db:3306/lathe")
//	db, err := sqldb.Open(ctx, "sqlite:/var/lib/mp3lathe/lathe.db")
//	err = db.Migrate(ctx, migrations, "jobs_schema")
//
// [DB.Now] is the database's clock as an SQL expression, so that no time in a row
// depends on the clock of whoever wrote it. [DB.Prepared] gives prepared
// statements, [DB.Bound] a time limit, and [DB.Retry] and [DB.InTx] run again what
// lost a deadlock.
//
// An SQLite file is used over one connection, and another for [DB.Relaxed]: do not
// ask a second question while the rows of the first are open.
//
// No error holds a password.
package sqldb
