package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/internal/queue"
	"github.com/mp3lathe/mp3lathe/job"
)

// latency is how long requests took, in milliseconds.
type latency struct {
	Requests int     `json:"requests"`
	Median   float64 `json:"median_ms"`
	P99      float64 `json:"p99_ms"`
}

// summarize returns the latency of requests, of which there is at least one: 99 of 100
// took no longer than P99.
func summarize(took []time.Duration) latency {
	took = slices.Sorted(slices.Values(took))
	at := func(q float64) float64 {
		return float64(took[min(int(q*float64(len(took))), len(took)-1)]) / float64(time.Millisecond)
	}
	return latency{Requests: len(took), Median: at(0.5), P99: at(0.99)}
}

// compared is the same request to an empty and to a full system, in turns.
type compared struct {
	Name  string  `json:"name"`
	Empty latency `json:"empty"`
	Full  latency `json:"full"`
}

// request is one that is made again and again. It tells when its answer is not the one
// that it should be.
type request func(ctx context.Context, s *system) error

// compare makes a request to both systems, n times in turns.
func compare(ctx context.Context, n int, name string, empty, full *system, onEmpty, onFull request) (compared, error) {
	var took [2][]time.Duration
	for i := range n + n/20 + 1 {
		for k, s := range []*system{empty, full} {
			began := time.Now()
			if err := []request{onEmpty, onFull}[k](ctx, s); err != nil {
				return compared{}, fmt.Errorf("%s: %w", name, err)
			}
			if i > n/20 { // the first ones open connections and prepare statements
				took[k] = append(took[k], time.Since(began))
			}
		}
	}
	return compared{Name: name, Empty: summarize(took[0]), Full: summarize(took[1])}, nil
}

// submits measures uploads: of users who have nothing waiting, and of users who have.
func submits(ctx context.Context, n int, empty, full *system) ([]compared, error) {
	stranger := func(ctx context.Context, s *system) error { return s.upload(ctx, uuid.NewString()) }
	first, err := compare(ctx, n, "upload, nothing of the user's waits", empty, full, stranger, stranger)
	if err != nil {
		return nil, err
	}
	if each := full.rows / len(full.owners); each >= maxWaiting/2 {
		return []compared{first}, nil // his quota is used up
	}
	member := func(ctx context.Context, s *system) error {
		return s.upload(ctx, full.owners[rand.N(len(full.owners))])
	}
	second, err := compare(ctx, n, "upload, jobs of the user's wait", empty, full, stranger, member)
	return []compared{first, second}, err
}

// maxWaiting is the gateway's quota of waiting jobs.
const maxWaiting = 1000

// uploadBytes are those of a file: small, so that what is measured is not its way.
const uploadBytes = 4 << 10

// upload uploads a file that nobody else has.
func (s *system) upload(ctx context.Context, owner string) error {
	file := make([]byte, uploadBytes)
	copy(file[4:], "ftypmp42")
	for i := 16; i+8 <= len(file); i += 8 {
		binary.LittleEndian.PutUint64(file[i:], rand.Uint64())
	}
	return s.request(ctx, http.MethodPost, "/v1/jobs", owner, file, http.StatusAccepted, nil)
}

// request makes one, and looks at the status of its answer.
func (s *system) request(ctx context.Context, method, path, user string, body []byte, want int, answer func([]byte) error) error {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+user)
	if body != nil {
		req.Header.Set("Content-Type", "video/mp4")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(res.Body)
	err = errors.Join(err, res.Body.Close())
	if err == nil && res.StatusCode != want {
		err = fmt.Errorf("%s %s answers %s: %s", method, path, res.Status, b)
	}
	if err == nil && answer != nil {
		err = answer(b)
	}
	return err
}

// reads measures lists, from the front, from the middle and by state, of a user and of
// an administrator, and a look at one job with its position.
func reads(ctx context.Context, n int, empty, full *system) ([]compared, error) {
	get := func(user func(*system) string, path func(*system) string) request {
		return func(ctx context.Context, s *system) error {
			return s.request(ctx, http.MethodGet, path(s), user(s), nil, http.StatusOK, nil)
		}
	}
	owner := func(s *system) string { return s.owners[rand.N(len(s.owners))] }
	admin := func(*system) string { return root }
	some := func(s *system) string { return s.some[rand.N(len(s.some))] }
	deep := func(s *system) string { return base64.RawURLEncoding.EncodeToString([]byte(some(s))) }
	fixed := func(path string) func(*system) string { return func(*system) string { return path } }
	behind := func(path string) func(*system) string {
		return func(s *system) string { return path + "&cursor=" + deep(s) }
	}
	var all []compared
	for _, c := range []struct {
		name       string
		user, path func(*system) string
	}{
		{"list, first page", owner, fixed("/v1/jobs?limit=20")},
		{"list, a page in the middle", owner, behind("/v1/jobs?limit=20")},
		{"list, waiting, in the middle", owner, behind("/v1/jobs?limit=20&state=queued")},
		{"list, failed", owner, fixed("/v1/jobs?limit=20&state=failed")},
		{"list of all users, first page of 100", admin, fixed("/v1/jobs?all=true&limit=100")},
		{"list of all users, 100 in the middle", admin, behind("/v1/jobs?all=true&limit=100")},
		{"list of all users, running", admin, fixed("/v1/jobs?all=true&limit=100&state=running")},
		{"list of all users, failed, in the middle", admin, behind("/v1/jobs?all=true&limit=100&state=failed")},
		{"a waiting job with its position", admin, func(s *system) string { return "/v1/jobs/" + some(s) }},
	} {
		r := get(c.user, c.path)
		got, err := compare(ctx, n, c.name, empty, full, r, r)
		if err != nil {
			return nil, err
		}
		all = append(all, got)
	}
	return all, nil
}

// cost is what something took, on average.
type cost struct {
	Name       string  `json:"name"`
	Full       bool    `json:"full"`
	Times      int     `json:"times"`
	Millis     float64 `json:"ms"`
	Statements float64 `json:"statements"`
	RowsRead   float64 `json:"rows_read"`
	Commands   float64 `json:"redis_commands"`
}

// measured runs something a few times.
func (s *system) measured(ctx context.Context, name string, times int, f func(context.Context) error) (cost, error) {
	before, err := s.work(ctx)
	if err != nil {
		return cost{}, err
	}
	began := time.Now()
	for range times {
		if err := f(ctx); err != nil {
			return cost{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	took := time.Since(began)
	after, err := s.work(ctx)
	per := func(n int64) float64 { return float64(n) / float64(times) }
	return cost{
		Name: name, Times: times, Millis: took.Seconds() * 1000 / float64(times),
		// The question itself is one of each.
		Statements: per(after.statements - before.statements - 1), RowsRead: per(after.rows - before.rows),
		Commands: per(after.commands - before.commands - 1),
	}, err
}

// actsOfEach are so many that the question of what was done counts for little.
const actsOfEach = 50

// oneUpload is what an upload asks of the servers.
func (s *system) oneUpload(ctx context.Context) (cost, error) {
	return s.measured(ctx, "upload", actsOfEach, func(ctx context.Context) error { return s.upload(ctx, uuid.NewString()) })
}

// oneEnd is what is asked of them from the claim of a job to the mail about its end: a look
// at the quarantine, one sign of life, the end, and the work of a notifier.
func (s *system) oneEnd(ctx context.Context) (cost, error) {
	running, err := s.jobs.List(ctx, job.Query{State: job.Running, Limit: actsOfEach})
	if err != nil || len(running) == 0 {
		return cost{}, errors.Join(err, errors.New("nothing runs"))
	}
	told := make(chan struct{}, len(running))
	server, err := queue.NewServer(s.parts.Redis, queue.Notify, queue.ServerConfig{Concurrency: 1, Grace: time.Second, Logger: s.parts.Log},
		func(ctx context.Context, id string, _ int) error {
			j, err := s.jobs.ClaimNotice(ctx, id, time.Minute)
			if err == nil {
				err = s.jobs.Notified(ctx, j.ID, j.Attempt, "")
			}
			told <- struct{}{}
			return err
		})
	if err != nil {
		return cost{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	next := 0
	c, err := s.measured(ctx, "end of a job, and its mail", len(running), func(ctx context.Context) error {
		j := running[next]
		next++
		_, err := s.jobs.Quarantined(ctx, j.CrashKey())
		if err == nil {
			err = s.jobs.Heartbeat(ctx, j.ID, j.Attempt, job.Progress{}, time.Hour)
		}
		if err == nil {
			_, err = s.jobs.Succeed(ctx, j.ID, j.Attempt, job.Result{Key: job.ResultKey(j.ID, j.Attempt)}, time.Hour)
		}
		if err == nil {
			err = s.queue.Notify(ctx, j.ID, j.Attempt)
		}
		if err == nil {
			err = s.parts.Hints.Publish(ctx, j.ID)
		}
		if err == nil {
			select {
			case <-told:
			case <-time.After(time.Minute):
				err = errors.New("the notifier has not got a job within a minute")
			}
		}
		return err
	})
	cancel()
	return c, errors.Join(err, <-ended)
}

// sweepsOfEach are so many that one odd one does not count for much.
const sweepsOfEach = 5

// turns is the part of a sweep that looks for users whose turn it is.
func (s *system) turns(ctx context.Context) (cost, error) {
	if _, err := s.sweeper.Sweep(ctx); err != nil { // the first one walks through the bucket
		return cost{}, err
	}
	return s.measured(ctx, "turns alone", sweepsOfEach, s.allTurns.All)
}

// idleSweep is a sweep that finds nothing to do: the queue has been told of all jobs.
func (s *system) idleSweep(ctx context.Context) (cost, error) {
	if err := s.told(ctx, -time.Hour); err != nil {
		return cost{}, err
	}
	return s.measured(ctx, "sweep, nothing to do", sweepsOfEach, s.sweep)
}

const overdue = "sweep, all that the queue knows is overdue"

// overdueSweep is one that tells the queue again of jobs that have waited for long, as
// many as a sweep takes.
func (s *system) overdueSweep(ctx context.Context) (cost, error) {
	if err := s.told(ctx, time.Hour); err != nil {
		return cost{}, err
	}
	return s.measured(ctx, overdue, sweepsOfEach, s.sweep)
}

func (s *system) sweep(ctx context.Context) error {
	_, err := s.sweeper.Sweep(ctx)
	return err
}

// told notes that the queue was told of all jobs that have a place, so long ago. A
// negative time is to come: it takes some to note it.
func (s *system) told(ctx context.Context, ago time.Duration) error {
	now := s.parts.DB.Now()
	side := " AND due_at > " // not noted yet
	if ago < 0 {
		side = " AND due_at < "
	}
	for {
		r, err := s.parts.DB.ExecContext(ctx, "UPDATE jobs SET version = version + 1, due_at = "+now+" - ?"+
			" WHERE state = 'queued' AND placed = 1"+side+now+" - ? LIMIT 20000", ago.Microseconds(), (ago / 2).Microseconds())
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n == 0 {
			return err
		}
	}
}

// claiming is how fast jobs are claimed.
type claiming struct {
	Full   bool    `json:"full"`
	Claims int     `json:"claims"`
	Rate   float64 `json:"per_second"`
	// Of one claim, the next job of its owner's turn included.
	Statements float64 `json:"statements"`
	RowsRead   float64 `json:"rows_read"`
	Commands   float64 `json:"redis_commands"`
}

// claims lets so many claim what the queue gives them, for a time or until nothing waits
// any more. What is claimed is left running.
func (s *system) claims(ctx context.Context, claimers int, length time.Duration) (c claiming, err error) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var claimed, refused atomic.Int64
	var last atomic.Int64 // when, since began
	began := time.Now()
	server, err := queue.NewServer(s.parts.Redis, queue.Convert, queue.ServerConfig{Concurrency: claimers, Grace: -1, Logger: s.parts.Log},
		func(ctx context.Context, id string, _ int) error {
			_, err := s.jobs.Claim(ctx, id, "bench", time.Hour)
			switch {
			case err == nil:
				last.Store(int64(time.Since(began)))
				if int(claimed.Add(1)) == s.waiting {
					cancel()
				}
			case errors.Is(err, job.ErrConflict):
				refused.Add(1)
				err = nil
			}
			return err
		})
	if err != nil {
		return c, err
	}
	before, err := s.work(ctx)
	if err != nil {
		return c, err
	}
	if err := server.Run(ctx); err != nil {
		return c, err
	}
	after, err := s.work(context.WithoutCancel(ctx))
	if err != nil {
		return c, err
	}
	c.Claims = int(claimed.Load())
	if c.Claims == 0 {
		return c, fmt.Errorf("nothing was claimed, and %d times refused", refused.Load())
	}
	per := func(n int64) float64 { return float64(n) / float64(c.Claims) }
	c.Rate = float64(c.Claims) / time.Duration(last.Load()).Seconds()
	c.Statements, c.RowsRead, c.Commands = per(after.statements-before.statements), per(after.rows-before.rows), per(after.commands-before.commands)
	return c, nil
}
