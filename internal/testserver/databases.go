package testserver

import (
	"context"
	"errors"
)

// Databases are the servers that jobs can be kept in.
type Databases struct {
	MariaDB *MariaDBServer
	Mongo   *MongoDBServer
}

// StartDatabases starts MariaDB, and what [MongoDB] does for the URL. Stop them at the end.
func StartDatabases(ctx context.Context, mongoDB string) (*Databases, error) {
	maria, err := MariaDB(ctx)
	if err != nil {
		return nil, err
	}
	mongo, err := MongoDB(ctx, mongoDB)
	if err != nil {
		return nil, errors.Join(err, maria.Stop())
	}
	return &Databases{maria, mongo}, nil
}

// Stop stops both.
func (d *Databases) Stop() error { return errors.Join(d.MariaDB.Stop(), d.Mongo.Stop()) }
