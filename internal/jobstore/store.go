package jobstore

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

//go:embed migrations
var migrations embed.FS

// Migrate makes the tables, or brings them up to date. Any number of processes may
// call it at the same time.
func Migrate(ctx context.Context, db *sqldb.DB) error {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("jobstore: %w", err)
	}
	if err := db.Migrate(ctx, dir, "jobs_schema"); err != nil {
		return fmt.Errorf("jobstore: %w", err)
	}
	return nil
}

// Store keeps jobs. Its methods may be called by many at a time.
type Store struct {
	db      *sqldb.DB
	window  int
	q       queries
	relaxed map[string]bool // the statements of queries.relaxed
}

// New returns the store in a database that [Migrate] has prepared.
func New(db *sqldb.DB) *Store {
	return storeOf(db, 0)
}

// WithWindow returns the same store for those who give the users turns: what it queues
// waits for [Store.Place], which gives a place in the queue to at most so many queued
// jobs of each user. 0 gives a place to all at once, as [New] does.
func (s *Store) WithWindow(window int) jobs.Store { return storeOf(s.db, window) }

func storeOf(db *sqldb.DB, window int) *Store {
	s := &Store{db: db, window: window, q: newQueries(db, window), relaxed: map[string]bool{}}
	if window == 0 {
		s.window = jobs.MaxList
	}
	for _, query := range s.q.relaxed() {
		s.relaxed[query] = true
	}
	return s
}

// Insert is [Store.Submit] of a job that stands alone.
func (s *Store) Insert(ctx context.Context, j job.Job) (job.Job, error) {
	return s.Submit(ctx, job.Submission{Job: j})
}

// insertion are the values of a new row.
func insertion(j *job.Submission) ([]any, error) {
	if !job.ValidID(j.ID) {
		return nil, fmt.Errorf("%q is not the ID of a job", j.ID)
	}
	if !jobs.ValidOwner(j.Owner) {
		return nil, fmt.Errorf("%q is not the ID of a user", j.Owner)
	}
	settings, err := json.Marshal(j.Settings)
	return []any{j.ID, j.Owner, j.NotifyTo, j.FileName, j.SourceBytes, j.SourceSHA256, string(settings),
		sql.NullString{String: j.Twin, Valid: j.Twin != ""}, string(j.Lane), j.SourceBytes, j.Keep.Microseconds(), j.Trace}, err
}

// Get returns a job; [job.ErrNotFound] if there is none.
func (s *Store) Get(ctx context.Context, id string) (job.Job, error) {
	j, err := s.get(ctx, id)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: get %s: %w", id, err)
	}
	return j, nil
}

// List returns jobs, newest first, at most [jobs.MaxList]. Before may name a job that is
// no more, but not what cannot be the ID of one ([job.ErrNotFound]).
func (s *Store) List(ctx context.Context, q job.Query) ([]job.Job, error) {
	before := jobs.LastID
	if q.Before != "" {
		if before = q.Before; !job.ValidID(before) {
			return nil, fmt.Errorf("jobstore: list before %q: %w", before, job.ErrNotFound)
		}
	}
	if q.Owner != "" && !jobs.ValidOwner(q.Owner) || q.State != "" && !q.State.Valid() {
		return nil, nil
	}
	query, args := s.q.list, []any{}
	switch {
	case q.Owner != "" && q.State != "":
		query, args = s.q.listOwnerState, []any{q.Owner, string(q.State)}
	case q.Owner != "":
		query, args = s.q.listOwner, []any{q.Owner}
	case q.State != "":
		query, args = s.q.listState, []any{string(q.State)}
	}
	jobs, err := s.jobs(ctx, query, append(args, before, jobs.Limit(q.Limit))...)
	if err != nil {
		return nil, fmt.Errorf("jobstore: list: %w", err)
	}
	return jobs, nil
}

// Position is the place of a queued job: 1 is the next, [jobs.MaxPosition] that or worse.
// Before it come those that the queue knows and, if it waits for its owner's turn, those
// of its owner that do too; by the time of their making. While it waits for its turn
// others may get before it. A job that is not queued has none: 0.
func (s *Store) Position(ctx context.Context, id string) (int, error) {
	if !job.ValidID(id) {
		return 0, fmt.Errorf("jobstore: position of %q: %w", id, job.ErrNotFound)
	}
	n := 0
	const most = jobs.MaxPosition - 1
	err := s.row(ctx, s.q.position, []any{id, most, most, id, id, most, id}, &n)
	if err != nil {
		return 0, fmt.Errorf("jobstore: position of %s: %w", id, err)
	}
	return min(n, jobs.MaxPosition), nil
}

// Cancel ends a job that is queued or running; one that has ended is refused
// ([job.ErrConflict]). A worker that runs it learns so from its next heartbeat. It
// expires after [jobs.CanceledRetention].
func (s *Store) Cancel(ctx context.Context, id string) (job.Job, error) {
	j, err := s.settle(ctx, id, s.q.cancel, jobs.CanceledRetention.Microseconds(), id)
	if err != nil {
		return job.Job{}, fmt.Errorf("jobstore: cancel %s: %w", id, err)
	}
	return j, nil
}

// Delete removes the row of a job that has ended; another is refused
// ([job.ErrConflict]).
func (s *Store) Delete(ctx context.Context, id string) error {
	n, err := s.exec(ctx, id, s.q.remove, id)
	if err == nil && n == 0 {
		err = s.refused(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("jobstore: delete %s: %w", id, err)
	}
	return nil
}

// Retry queues a job again that has failed, as if it were new, but
// for the attempts that it has had; another is refused ([job.ErrConflict]).
func (s *Store) Retry(ctx context.Context, id string) (job.Job, error) {
	return s.RetryOnce(ctx, id, nil)
}

// get is Get without words for the error.
func (s *Store) get(ctx context.Context, id string) (j job.Job, err error) {
	if !job.ValidID(id) {
		return job.Job{}, job.ErrNotFound
	}
	jobs, err := s.jobs(ctx, s.q.get, id)
	switch {
	case err != nil:
		return job.Job{}, err
	case len(jobs) == 0:
		return job.Job{}, job.ErrNotFound
	}
	return jobs[0], nil
}

// settle is a change that the job's state may refuse: the error wraps
// [job.ErrNotFound] or [job.ErrConflict].
func (s *Store) settle(ctx context.Context, id, query string, args ...any) (job.Job, error) {
	j, n, err := s.change(ctx, id, query, args...)
	if err == nil && n == 0 {
		err = s.refused(ctx, id)
	}
	return j, err
}

// refused says why a change has found nothing to do.
func (s *Store) refused(ctx context.Context, id string) error {
	_, _, _, err := s.state(ctx, id)
	if err == nil {
		err = job.ErrConflict
	}
	return err
}

func (s *Store) state(ctx context.Context, id string) (state job.State, attempt int, notified bool, err error) {
	if !job.ValidID(id) {
		return "", 0, false, job.ErrNotFound
	}
	var told int64
	err = s.row(ctx, s.q.state, []any{id}, &state, &attempt, &told)
	return state, attempt, told != 0, err
}

// change runs a statement that changes one job, and returns what it has left and
// how many rows it found. n is 1 and the error [job.ErrNotFound] if the job was
// changed and then removed by somebody else.
func (s *Store) change(ctx context.Context, id, query string, args ...any) (j job.Job, n int64, err error) {
	if s.db.Dialect() == sqldb.SQLite {
		if !job.ValidID(id) {
			return job.Job{}, 0, nil
		}
		var jobs []job.Job
		err := s.db.Retry(ctx, func() (err error) {
			jobs, err = s.jobs(ctx, query, args...)
			return err
		})
		if err != nil || len(jobs) == 0 {
			return job.Job{}, 0, err
		}
		return jobs[0], 1, nil
	}
	if n, err = s.exec(ctx, id, query, args...); err != nil || n == 0 {
		return job.Job{}, n, err
	}
	j, err = s.get(ctx, id)
	return j, n, err
}

// exec runs a statement about one job and returns how many rows it found: none if
// the ID is malformed.
func (s *Store) exec(ctx context.Context, id, query string, args ...any) (int64, error) {
	if !job.ValidID(id) {
		return 0, nil
	}
	r, err := s.run(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (s *Store) prepared(ctx context.Context, query string) (*sql.Stmt, error) {
	if s.relaxed[query] {
		return s.db.Relaxed().Prepared(ctx, query)
	}
	return s.db.Prepared(ctx, query)
}

// run runs a statement that returns no rows, again if others were in its way.
func (s *Store) run(ctx context.Context, query string, args ...any) (r sql.Result, err error) {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	stmt, err := s.prepared(ctx, query)
	if err != nil {
		return nil, err
	}
	err = s.db.Retry(ctx, func() (err error) {
		r, err = stmt.ExecContext(ctx, args...)
		return err
	})
	return r, err
}

// row reads a single row; [job.ErrNotFound] if there is none.
func (s *Store) row(ctx context.Context, query string, args []any, dest ...any) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	stmt, err := s.prepared(ctx, query)
	if err != nil {
		return err
	}
	if err = stmt.QueryRowContext(ctx, args...).Scan(dest...); errors.Is(err, sql.ErrNoRows) {
		err = job.ErrNotFound
	}
	return err
}

// each calls f with the scanner of every row. It reads all of them: only then has
// SQLite made the changes of a statement that returns rows.
func (s *Store) each(ctx context.Context, query string, args []any, f func(scan func(...any) error) error) error {
	ctx, cancel := s.db.Bound(ctx)
	defer cancel()
	stmt, err := s.prepared(ctx, query)
	if err != nil {
		return err
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// jobs reads rows of columns.
func (s *Store) jobs(ctx context.Context, query string, args ...any) (jobs []job.Job, err error) {
	err = s.each(ctx, query, args, func(scan func(...any) error) error {
		j, err := scanJob(scan)
		jobs = append(jobs, j)
		return err
	})
	if err != nil {
		return nil, err
	}
	return jobs, nil
}
