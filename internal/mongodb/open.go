package mongodb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

const (
	// QueryTimeout bounds each call whose context does not end earlier.
	QueryTimeout = 10 * time.Second

	connectTimeout   = 5 * time.Second
	selectionTimeout = 5 * time.Second // for a server that is there, such as a new primary
	// maxConns of one process to each server. Queries are short, and a fleet has many
	// processes.
	maxConns    = 16
	maxIdleTime = 5 * time.Minute
)

// DB is an open database. Its methods may be called by many at a time.
type DB struct {
	*mongo.Database
	name string
}

// Open opens the database of a URL and asks whether it answers, for at most
// [QueryTimeout]:
//
//	mongodb://user:password@host:port,host:port/name[?option=value&...]
//	mongodb+srv://user:password@host/name[?option=value&...]
//
// The options are those of MongoDB's connection strings. Write and read concern are
// always "majority".
func Open(ctx context.Context, url string) (*DB, error) {
	if err := CheckURL(url); err != nil {
		return nil, err
	}
	return open(ctx, url)
}

// OpenServer is [Open] for a URL that need not name a database: see [DB.Other].
func OpenServer(ctx context.Context, url string) (*DB, error) {
	p, err := parse(url)
	if err == nil {
		err = p.check(url)
	}
	if err != nil {
		return nil, fmt.Errorf("mongodb: %w", err)
	}
	return open(ctx, url)
}

func open(ctx context.Context, url string) (*DB, error) {
	db, err := Connect(url)
	if err != nil {
		return nil, err
	}
	if err := db.Ping(ctx); err != nil {
		return nil, fmt.Errorf("mongodb: open %s: %w", db, errors.Join(err, db.Close()))
	}
	return db, nil
}

// Connect is [Open] without asking whether the database answers.
func Connect(url string) (*DB, error) {
	p, err := parse(url)
	if err != nil {
		return nil, fmt.Errorf("mongodb: %w", err)
	}
	opts := options.Client().
		SetAppName("mp3lathe").SetMaxPoolSize(maxConns).SetMaxConnIdleTime(maxIdleTime).
		SetConnectTimeout(connectTimeout).SetServerSelectionTimeout(selectionTimeout).
		ApplyURI(url).
		SetTimeout(QueryTimeout).
		SetWriteConcern(writeconcern.Majority()).SetReadConcern(readconcern.Majority()).SetReadPreference(readpref.Primary())
	client, err := mongo.Connect(opts)
	if err != nil {
		return nil, fmt.Errorf("mongodb: %w", p.hide(err))
	}
	name := p.database
	if name == "" {
		name = "admin"
	}
	return &DB{client.Database(name), p.String()}, nil
}

// Other is another database of the same server. Only the one that was opened is to be
// closed.
func (db *DB) Other(name string) *DB {
	i := strings.LastIndex(db.name, "/")
	return &DB{db.Client().Database(name), db.name[:i+1] + name}
}

// Close closes the database.
func (db *DB) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	// All is acknowledged. What can fail is to take leave of a server that has died.
	_ = db.Client().Disconnect(ctx)
	return nil
}

// String names the database, without the password.
func (db *DB) String() string { return db.name }

// Ping reports whether the server answers, within [QueryTimeout].
func (db *DB) Ping(ctx context.Context) error {
	_, err := db.Now(ctx)
	return err
}

// Now is the time by the server's clock, in microseconds since the Unix epoch; it counts
// in milliseconds. It is asked for before the change that it is for, and so is a little
// old in it. That is to the safe side: a lease that is taken ends earlier by that, and
// none counts as passed too early.
func (db *DB) Now(ctx context.Context) (int64, error) {
	var hello struct {
		LocalTime time.Time `bson:"localTime"`
	}
	if err := db.Client().Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		return 0, err
	}
	if hello.LocalTime.IsZero() {
		return 0, errors.New("the server does not tell the time")
	}
	return hello.LocalTime.UnixMicro(), nil
}

// IsDuplicate reports whether a document was refused because another has its key.
func IsDuplicate(err error) bool { return mongo.IsDuplicateKeyError(err) }

// outOfDiskSpace is an error of MongoDB.
const outOfDiskSpace = 14031

// Full gives an error that means that the server has no room the system's name for it.
func Full(err error) error {
	if e, ok := errors.AsType[mongo.ServerError](err); ok && e.HasErrorCode(outOfDiskSpace) && !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("%w: %w", syscall.ENOSPC, err)
	}
	return err
}

// Bound limits a context to [QueryTimeout], if it does not end earlier by itself.
func (db *DB) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, QueryTimeout)
}
