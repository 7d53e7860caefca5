package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/job"
)

// filling is what it took to fill a system, and what there is now.
type filling struct {
	Seconds float64 `json:"seconds"`
	// Tasks in Redis: the jobs that have a place in the queue.
	Tasks int `json:"tasks"`
	// RowBytes are those of a job in the database's files, indexes included, and
	// IndexBytes those of the indexes; TaskBytes those of a task in Redis' memory.
	RowBytes   float64 `json:"row_bytes"`
	IndexBytes float64 `json:"index_bytes"`
	TaskBytes  float64 `json:"task_bytes"`
}

// rowsAtOnce are written by one statement.
const rowsAtOnce = 1000

// ended is of how many waiting jobs one more has ended, so that there is something else
// to find.
const ended = 1000

// fill makes rows and tasks as they are when users have uploaded: each of them as many
// jobs, in turns. A test compares the rows with those that package jobstore writes.
func (s *system) fill(ctx context.Context, n, users int) (f filling, err error) {
	began := time.Now()
	before, err := s.redisMemory(ctx)
	if err != nil {
		return f, err
	}
	s.owners = make([]string, users)
	for i := range s.owners {
		s.owners[i] = uuid.NewString()
	}
	var now int64
	if err := s.parts.DB.QueryRowContext(ctx, "SELECT "+s.parts.DB.Now()).Scan(&now); err != nil {
		return f, err
	}
	tasks := make([]job.Job, 0, min(n, users*window))
	s.rows, s.waiting, s.some = n, n-n/ended, nil
	for from := 0; from < n; from += rowsAtOnce {
		var text strings.Builder
		text.WriteString(insert)
		var args []any
		for i := from; i < min(from+rowsAtOnce, n); i++ {
			id, err := uuid.NewV7()
			if err != nil {
				return f, err
			}
			j := job.Job{ID: id.String(), Owner: s.owners[i%users], Lane: job.LaneShort}
			if i/users >= bulkAfter {
				j.Lane = job.LaneBulk
			}
			// Made an hour ago, one after the other.
			at := now - int64(time.Hour/time.Microsecond) + int64(i)
			state, placed, due := job.Queued, 0, at
			switch {
			case i%ended == ended-1:
				state, placed, due = job.Failed, 1, now+int64(24*time.Hour/time.Microsecond)
			case i/users < window:
				placed = 1
				tasks = append(tasks, j)
			}
			if i > from {
				text.WriteString(", ")
			}
			text.WriteString(values)
			twin := sha256.Sum256(id[:])
			args = append(args, j.ID, j.Owner, "lecture-"+strconv.Itoa(i)+".mp4", hex.EncodeToString(twin[:]), string(state), at, due,
				hex.EncodeToString(twin[:]), string(j.Lane), placed)
			if i%max(1, n/100) == 0 && state == job.Queued {
				s.some = append(s.some, j.ID)
			}
		}
		if _, err := s.parts.DB.ExecContext(ctx, text.String(), args...); err != nil {
			return f, fmt.Errorf("fill: %w", err)
		}
	}
	if err := s.enqueue(ctx, tasks); err != nil {
		return f, err
	}
	if _, err := s.parts.DB.ExecContext(ctx, "ANALYZE TABLE jobs"); err != nil {
		return f, err
	}
	f.Seconds, f.Tasks = time.Since(began).Seconds(), len(tasks)
	after, err := s.redisMemory(ctx)
	if err != nil {
		return f, err
	}
	f.TaskBytes = float64(after-before) / float64(len(tasks))
	var data, index float64
	err = s.parts.DB.QueryRowContext(ctx, `SELECT data_length, index_length FROM information_schema.tables
		WHERE table_schema = DATABASE() AND table_name = 'jobs'`).Scan(&data, &index)
	f.RowBytes, f.IndexBytes = (data+index)/float64(n), index/float64(n)
	return f, err
}

// bulkAfter is how many jobs of a user wait when the next one takes the lane for bulk: the
// default of the gateway.
const bulkAfter = 20

const (
	insert = `INSERT INTO jobs (id, owner, notify_to, file_name, source_bytes, source_sha256, settings,
		state, attempt, tries, worker, progress, progress_total, failure_code, failure_detail, result,
		version, created_at, not_before, started_at, ended_at, due_at,
		notice_at, notice_lease_until, notified_at, notice_error, twin, lane, placed, stored, keep_for) VALUES `
	values = `(?, ?, 'somebody@example.org', ?, 10485760, ?, '{}', ?, 0, 0, '', 0, 0, '', '', '', 1, ?, 0, 0, 0, ?, 0, 0, 0, '', ?, ?, ?, 10485760, 0)`
)

// enqueue tells the queue of jobs that have a place.
func (s *system) enqueue(ctx context.Context, tasks []job.Job) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for part := range slices.Chunk(tasks, 500) {
		g.Go(func() error {
			for _, j := range part {
				if err := s.parts.Queue.ConvertIn(ctx, j.Lane, j.ID, 0, 0); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (s *system) redisMemory(ctx context.Context) (int64, error) {
	info, err := s.redis.Info(ctx, "memory").Result()
	if err != nil {
		return 0, err
	}
	return redisField(info, "used_memory")
}
