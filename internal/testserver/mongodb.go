package testserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// MongoDBServer is a FerretDB with its files in a folder of its own, or a MongoDB that
// somebody else runs.
type MongoDBServer struct {
	// Real reports that it is a MongoDB, and not a FerretDB.
	Real bool

	url    string
	prefix string // of the databases' names
	port   int
	dir    string

	mu   sync.Mutex
	proc *process // nil if it is not ours
	next int
}

// MongoDB starts FerretDB, which scripts/ferretdb.sh has built, on loopback. If a URL is
// given it uses the MongoDB that is there, and at the end removes the databases that it has
// handed out. Stop it at the end.
func MongoDB(ctx context.Context, there string) (*MongoDBServer, error) {
	s := &MongoDBServer{prefix: "mp3lathe_test_" + strings.ToLower(rand.Text()[:10]) + "_", next: 1}
	if there != "" {
		s.Real, s.url = true, there
		if err := s.ping(ctx); err != nil {
			return nil, fmt.Errorf("mongodb: %w", err)
		}
		return s, nil
	}
	port, err := FreePort()
	if err != nil {
		return nil, fmt.Errorf("ferretdb: %w", err)
	}
	if s.dir, err = os.MkdirTemp("", "ferretdb-*"); err != nil {
		return nil, fmt.Errorf("ferretdb: %w", err)
	}
	s.port, s.url = port, fmt.Sprintf("mongodb://127.0.0.1:%d/", port)
	if err := s.Start(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// Start starts the server again after Kill, on its port and with its data.
func (s *MongoDBServer) Start(ctx context.Context) error {
	binary, err := built(ctx, "ferretdb.sh")
	if err != nil {
		return err
	}
	argv := []string{binary, "-listen", "127.0.0.1:" + strconv.Itoa(s.port), "-data", s.dir}
	proc, err := start(ctx, "ferretdb", s.dir, argv, nil, s.ping)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc = proc
	return nil
}

func (s *MongoDBServer) process() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc
}

// Kill ends the server as a crash does; what it has answered is kept. Only one that is
// ours is killed.
func (s *MongoDBServer) Kill() error {
	if s.Real {
		return errors.New("mongodb: it is not ours to kill")
	}
	return s.process().stop(syscall.SIGKILL)
}

// do connects, calls f and takes leave.
func (s *MongoDBServer) do(ctx context.Context, f func(*mongo.Client) error) error {
	opts := options.Client().ApplyURI(s.url).SetServerSelectionTimeout(5 * time.Second).SetTimeout(30 * time.Second)
	client, err := mongo.Connect(opts)
	if err != nil {
		return err
	}
	return errors.Join(f(client), client.Disconnect(ctx))
}

func (s *MongoDBServer) ping(ctx context.Context) error {
	return s.do(ctx, func(c *mongo.Client) error { return c.Ping(ctx, nil) })
}

// URL is that of the server, without a database.
func (s *MongoDBServer) URL() string { return s.url }

// NewDatabase returns the URL of a database that no other caller gets. It is made when
// something is put into it.
func (s *MongoDBServer) NewDatabase() (string, error) {
	s.mu.Lock()
	name := s.prefix + strconv.Itoa(s.next)
	s.next++
	s.mu.Unlock()
	u, err := url.Parse(s.url)
	if err != nil {
		return "", errors.New("mongodb: the URL of the server has more than one host, or is malformed")
	}
	u.Path = "/" + name
	if u.User != nil && !u.Query().Has("authSource") {
		q := u.Query()
		q.Set("authSource", "admin")
		u.RawQuery = q.Encode()
	}
	return u.String(), nil
}

// Count counts the documents of a collection, in the database of a URL, that a filter in
// JSON finds.
func (s *MongoDBServer) Count(ctx context.Context, database, collection, filter string) (n int64, err error) {
	u, err := url.Parse(database)
	if err != nil {
		return 0, err
	}
	var d bson.D
	if err := bson.UnmarshalExtJSON([]byte(filter), false, &d); err != nil {
		return 0, err
	}
	err = s.do(ctx, func(c *mongo.Client) error {
		n, err = c.Database(strings.TrimPrefix(u.Path, "/")).Collection(collection).CountDocuments(ctx, d)
		return err
	})
	return n, err
}

// Stop ends the server and removes its files, or of one that is not ours the databases.
func (s *MongoDBServer) Stop() error {
	if !s.Real {
		return errors.Join(s.process().stop(syscall.SIGKILL), os.RemoveAll(s.dir))
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return s.do(ctx, func(c *mongo.Client) error {
		for i := 1; i < s.next; i++ {
			if err := c.Database(s.prefix + strconv.Itoa(i)).Drop(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}
