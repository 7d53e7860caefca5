// Package mongo keeps jobs in MongoDB: what package jobstore does in SQL, with the same
// tests.
//
//	db, err := mongodb.Open(ctx, "mongodb://...")
//	err = mongo.Migrate(ctx, db)
//	s := mongo.New(db)
//
// Every change is one of one document, found by a filter that compares before it sets. So
// of many who want the same only one gets it. There are no transactions; what has to do
// with two documents, a job and the key of a request, is an intent in the job's document
// that whoever meets it carries out: see intent.go.
//
// Fields are named as the columns in SQL, and hold the same: times are microseconds since
// the Unix epoch by the server's clock, 0 is never.
//
// Calls end after [mongodb.QueryTimeout] if their context does not end them earlier. One
// that ends with another error than those of package job may have happened or not. It is
// safe to ask again.
package mongo
