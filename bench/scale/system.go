package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kong"
	"github.com/redis/go-redis/v9"

	"github.com/mp3lathe/mp3lathe/auth/token"
	"github.com/mp3lathe/mp3lathe/gateway"
	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/app/workers"
	"github.com/mp3lathe/mp3lathe/internal/fair"
	"github.com/mp3lathe/mp3lathe/internal/link"
	"github.com/mp3lathe/mp3lathe/internal/rate"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/worker"
)

// window is how many of a user's waiting jobs are in the queue: the default of the
// services.
const window = 1

// system is a gateway and a sweeper on a database, a Redis and a bucket of their own.
type system struct {
	parts    *app.Parts
	redis    *redis.Client
	jobs     fair.Jobs
	queue    fair.Queue
	allTurns *fair.Turns
	sweeper  *worker.Sweeper
	url      string

	rows, waiting int      // that it was filled with, and those of them that wait
	owners        []string // of these
	some          []string // a few of these jobs, from the oldest to the newest

	stop func() error
}

// open makes an empty system and serves its gateway.
func open(ctx context.Context, maria *testserver.MariaDBServer, server *testserver.RedisServer, dir string) (s *system, err error) {
	database, err := maria.NewDatabase(ctx)
	if err != nil {
		return nil, err
	}
	redisURL, err := server.NewURL()
	if err != nil {
		return nil, err
	}
	s = &system{parts: &app.Parts{Log: slog.New(slog.DiscardHandler)}}
	at := redisconn.At(redisURL)
	if err := s.parts.Open(ctx, database, app.BucketPlace{URL: "file://" + dir}, at); err != nil {
		return nil, errors.Join(err, s.parts.Close())
	}
	opt, err := at.Options()
	if err != nil {
		return nil, err
	}
	s.redis = redis.NewClient(opt)
	s.jobs, s.queue = s.parts.Turns(window)
	s.allTurns = fair.NewTurns(s.parts.Jobs.WithWindow(window), s.parts.Queue, s.parts.Log)
	s.sweeper, err = worker.NewSweeper(worker.Config{Name: "bench", Sweep: worker.SweepConfig{Stale: 20 * time.Second}},
		worker.SweepDeps{Jobs: s.jobs, Queue: s.queue, Hints: s.parts.Hints, Bucket: workers.SweepBucket(s.parts.Bucket), Departed: s.parts.Departed})
	if err == nil {
		err = s.serve(ctx, at)
	}
	return s, err
}

// serve starts the gateway, with the settings that it has by default.
func (s *system) serve(ctx context.Context, at redisconn.Address) error {
	var flags app.GatewayFlags
	parser, err := kong.New(&flags, app.Vars("5m"))
	if err != nil {
		return err
	}
	if _, err := parser.Parse(nil); err != nil {
		return err
	}
	var faults app.Faults
	settings := flags.Check(&faults)
	if err := faults.Err(); err != nil {
		return err
	}
	links, err := link.New("http://localhost", []byte(strings.Repeat("bench", 8)))
	if err != nil {
		return err
	}
	limiter, err := rate.Open(at, s.parts.Log)
	if err != nil {
		return err
	}
	settings.AuthURL = "http://localhost"
	g, err := gateway.New(settings.Config, gateway.Deps{
		Jobs: s.jobs, Keys: s.jobs, Queue: s.queue, Hints: s.parts.Hints, Bucket: gateway.BucketOf(s.parts.Bucket),
		Tokens: names{}, Links: links, Limiter: limiter, Departures: s.parts.Departed, Logger: s.parts.Log,
	})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(ctx)
	server := &http.Server{Handler: g.Handler()}
	var running sync.WaitGroup
	running.Go(func() { _ = g.Run(ctx) })
	running.Go(func() { _ = server.Serve(l) })
	s.stop = func() error {
		cancel()
		err := server.Close()
		running.Wait()
		return errors.Join(err, limiter.Close())
	}
	return nil
}

// close ends the system. Its rows go with the server: to drop tables of this size takes
// longer than a connection waits.
func (s *system) close() error {
	var err error
	if s.stop != nil {
		err = s.stop()
	}
	return errors.Join(err, s.redis.FlushDBAsync(context.Background()).Err(), s.redis.Close(), s.parts.Close())
}

// names takes a user's ID for his token. That of root is an administrator's.
type names struct{}

const root = "root"

// Verify implements [gateway.Verifier].
func (names) Verify(_ context.Context, raw string) (token.Claims, error) {
	c := token.Claims{
		Subject: raw, Email: "somebody@example.org", Roles: []string{token.RoleUser}, Expires: time.Now().Add(time.Hour),
		Scopes: []string{token.ScopeAccount, token.ScopeJobsRead, token.ScopeJobsWrite, token.ScopeAdmin},
	}
	if raw == root {
		c.Roles = append(c.Roles, token.RoleAdmin)
	}
	return c, nil
}

// work is what MariaDB and Redis have done.
type work struct{ statements, rows, commands int64 }

// work asks the servers, of which nobody else has any.
func (s *system) work(ctx context.Context) (w work, err error) {
	rows, err := s.parts.DB.QueryContext(ctx, "SHOW GLOBAL STATUS WHERE Variable_name = 'Questions' OR Variable_name LIKE 'Handler_read%' OR Variable_name = 'Handler_icp_attempts'")
	if err != nil {
		return w, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var n int64
		if err := rows.Scan(&name, &n); err != nil {
			return w, err
		}
		switch {
		case name == "Questions":
			w.statements = n
		case name != "Handler_read_retry":
			w.rows += n
		}
	}
	if err := rows.Err(); err != nil {
		return w, err
	}
	info, err := s.redis.Info(ctx, "stats").Result()
	if err != nil {
		return w, err
	}
	w.commands, err = redisField(info, "total_commands_processed")
	return w, err
}

// redisField finds a number in what INFO says.
func redisField(info, name string) (int64, error) {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseInt(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("redis does not tell %s", name)
}
