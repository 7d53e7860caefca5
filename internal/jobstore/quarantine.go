package jobstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

// CountCrash notes that an attempt has crashed, by what it is to be counted by: the
// bytes of its file ([job.Job.CrashKey]), or the ID of its job. It returns how many have.
// One attempt counts once, even if this is said again.
func (s *Store) CountCrash(ctx context.Context, sha256, id string, attempt int, code job.Code) (int, error) {
	by := id + "/" + strconv.Itoa(attempt)
	for {
		n, err := s.countCrash(ctx, sha256, by, code)
		if err != nil {
			return 0, fmt.Errorf("jobstore: count a crash of %s: %w", by, err)
		}
		if n > 0 {
			return n, nil
		}
	}
}

// countCrash returns 0 if another attempt at the same file was in its way.
func (s *Store) countCrash(ctx context.Context, sha256, by string, code job.Code) (int, error) {
	r, err := s.run(ctx, s.q.crash, string(code), by, sha256, by)
	if err != nil {
		return 0, err
	}
	counted, err := r.RowsAffected()
	if err != nil {
		return 0, err
	}
	var last string
	f, err := s.suspect(ctx, sha256, &last)
	switch {
	case errors.Is(err, job.ErrNotFound):
		if _, err = s.run(ctx, s.q.crashNew, sha256, string(code), by); sqldb.IsDuplicate(err) {
			return 0, nil
		}
		return 1, err
	case err != nil:
		return 0, err
	case counted == 0 && last != by: // it has appeared just now
		return 0, nil
	}
	return f.Crashes, nil
}

// Crashes returns how many attempts at a file or of a job have crashed.
func (s *Store) Crashes(ctx context.Context, key string) (int, error) {
	suspect, err := s.suspect(ctx, key, new(string))
	if err != nil && !errors.Is(err, job.ErrNotFound) {
		return 0, fmt.Errorf("jobstore: crashes: %w", err)
	}
	return suspect.Crashes, nil
}

// Quarantined reports whether a file has crashed so often that it is refused.
func (s *Store) Quarantined(ctx context.Context, sha256 string) (bool, error) {
	suspect, err := s.suspect(ctx, sha256, new(string))
	if err != nil && !errors.Is(err, job.ErrNotFound) {
		return false, fmt.Errorf("jobstore: quarantine: %w", err)
	}
	return suspect.Quarantined(), nil
}

// suspect reads what is known of a file, and which attempt was counted last.
func (s *Store) suspect(ctx context.Context, sha256 string, last *string) (job.Suspect, error) {
	f := job.Suspect{SHA256: sha256}
	err := s.row(ctx, s.q.crashes, []any{sha256}, &f.Crashes, &f.Code, last)
	return f, err
}

// Suspects returns the files that have crashed, the last ones first.
func (s *Store) Suspects(ctx context.Context, n int) (all []job.Suspect, err error) {
	err = s.each(ctx, s.q.quarantined, []any{jobs.Limit(n)}, func(scan func(...any) error) error {
		var f job.Suspect
		var last int64
		err := scan(&f.SHA256, &f.Crashes, &f.Code, &last)
		f.Last = at(last)
		all = append(all, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("jobstore: suspects: %w", err)
	}
	return all, nil
}

// Pardon forgets the crashes of a file; [job.ErrNotFound] if there were none.
func (s *Store) Pardon(ctx context.Context, sha256 string) error {
	r, err := s.run(ctx, s.q.pardon, sha256)
	if err == nil {
		var n int64
		if n, err = r.RowsAffected(); err == nil && n == 0 {
			err = job.ErrNotFound
		}
	}
	if err != nil {
		return fmt.Errorf("jobstore: pardon %s: %w", sha256, err)
	}
	return nil
}

// ForgetCrashes forgets those of files that have not crashed for a while: the
// converter may be a better one by now. It returns how many there were.
func (s *Store) ForgetCrashes(ctx context.Context, keep time.Duration) (int, error) {
	r, err := s.run(ctx, s.q.forget, keep.Microseconds())
	if err != nil {
		return 0, fmt.Errorf("jobstore: forget crashes: %w", err)
	}
	n, err := r.RowsAffected()
	return int(n), err
}
