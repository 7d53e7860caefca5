// Command scale measures what a long queue costs: it fills a database and a Redis with a
// million waiting jobs, and measures uploads, lists, claims, turns and sweeps beside an
// empty system, in the same run.
//
//	make bench-scale
//
// MariaDB and Redis are real ones, on loopback, with their data in TMPDIR; the gateway,
// the sweeper and those who claim are this process. bench/README.md says how to read it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mp3lathe/mp3lathe/bench/machine"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

func main() {
	log.SetFlags(0)
	var b bench
	var users string
	flag.IntVar(&b.rows, "rows", 1_000_000, "waiting jobs")
	flag.StringVar(&users, "users", "1,10000,1000000", "to how many users they belong, one shape after the other; at most as many as -rows")
	flag.IntVar(&b.samples, "n", 1000, "requests of each kind")
	flag.DurationVar(&b.claiming, "claiming", 10*time.Second, "for how long jobs are claimed")
	flag.IntVar(&b.claimers, "claimers", 8, "who claim at the same time")
	flag.StringVar(&b.pool, "pool", "2G", "InnoDB's buffer pool")
	out := flag.String("out", "build/bench-scale", "`folder` for the results")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for s := range strings.SplitSeq(users, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			log.Fatalf("-users has %q: want numbers such as 1,10000", s)
		}
		b.users = append(b.users, min(n, b.rows))
	}
	r, err := b.run(ctx)
	if r != nil && len(r.Shapes) > 0 { // those before the one that failed
		err = errors.Join(err, r.write(*out))
	}
	if err != nil {
		log.Fatal(errors.Join(err, ctx.Err()))
	}
}

// bench is what is measured.
type bench struct {
	rows     int
	users    []int // one for each shape
	samples  int
	claiming time.Duration
	claimers int
	pool     string
}

// run measures every shape.
func (b bench) run(ctx context.Context) (r *report, err error) {
	maria, err := testserver.MariaDBWith(ctx, "--innodb-buffer-pool-size="+b.pool, "--innodb-log-file-size=512M",
		// As it is where data count.
		"--innodb-flush-log-at-trx-commit=1", "--innodb-flush-method=fsync")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, maria.Stop()) }()
	redis, err := testserver.Redis(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, redis.Stop()) }()
	r = &report{Began: time.Now().UTC().Format("2006-01-02 15:04 MST"), Machine: machine.Describe(), Pool: b.pool, Claimers: b.claimers}
	done := machine.Watch()
	for _, users := range b.users {
		s, err := b.shape(ctx, maria, redis, users)
		if err != nil {
			r.Load = done()
			return r, fmt.Errorf("%d jobs of %d users: %w", b.rows, users, err)
		}
		r.Shapes = append(r.Shapes, s)
	}
	r.Load = done()
	return r, nil
}

// shape measures one: so many users, who all have the same number of jobs waiting.
func (b bench) shape(ctx context.Context, maria *testserver.MariaDBServer, redis *testserver.RedisServer, users int) (s shape, err error) {
	done := machine.Watch()
	dir, err := os.MkdirTemp("", "mp3lathe-scale-")
	if err != nil {
		return s, err
	}
	defer os.RemoveAll(dir)
	var both [2]*system // empty, full
	for i := range both {
		if both[i], err = open(ctx, maria, redis, filepath.Join(dir, strconv.Itoa(i))); err != nil {
			return s, err
		}
		defer func() { err = errors.Join(err, both[i].close()) }()
	}
	empty, full := both[0], both[1]
	s = shape{Rows: b.rows, Users: users}
	log.Printf("%d jobs of %d users: filling", b.rows, users)
	if s.Fill, err = full.fill(ctx, b.rows, users); err != nil {
		return s, err
	}
	log.Print("uploads")
	if s.Submits, err = submits(ctx, b.samples, empty, full); err != nil {
		return s, err
	}
	// A little to list, sweep and claim, with as many jobs for each user.
	few := max(1, min(b.rows/10, 10_000))
	if _, err = empty.fill(ctx, few, max(1, users*few/b.rows)); err != nil {
		return s, err
	}
	s.Few = few
	log.Print("requests")
	if s.Reads, err = reads(ctx, b.samples, empty, full); err != nil {
		return s, err
	}
	log.Print("single acts and sweeps")
	for i, sys := range both {
		for _, measure := range []func(context.Context) (cost, error){sys.oneUpload, sys.turns, sys.idleSweep, sys.overdueSweep} {
			c, err := measure(ctx)
			if err != nil {
				return s, err
			}
			c.Full = i == 1
			s.Costs = append(s.Costs, c)
		}
	}
	log.Print("claims")
	for i, sys := range both {
		c, err := sys.claims(ctx, b.claimers, b.claiming)
		if err != nil {
			return s, err
		}
		c.Full = i == 1
		s.Claims = append(s.Claims, c)
		end, err := sys.oneEnd(ctx)
		if err != nil {
			return s, err
		}
		end.Full = i == 1
		s.Costs = append(s.Costs, end)
	}
	s.Load = done()
	return s, nil
}
