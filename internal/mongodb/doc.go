// Package mongodb opens the MongoDB databases that mp3lathe keeps jobs and bytes in, and
// has what those who use them share:
//
//	db, err := mongodb.Open(ctx, "mongodb://lathe:secret@db1,db2,db3/lathe?replicaSet=rs0")
//	now, err := db.Now(ctx)
//
// Writes are acknowledged by a majority of the members, and only what a majority has is
// read, so that nothing is acted upon that the next failover takes back. Whether writes
// are retried is for the URL to say (retryWrites); MongoDB's default is that they are,
// where the server can.
//
// It uses nothing but changes of one document at a time: no transactions, which want a
// replica set, and no pipelines in updates, which not every server has that speaks the
// protocol. So times are the server's own, asked for beforehand ([DB.Now]).
//
// No error holds a password.
package mongodb
