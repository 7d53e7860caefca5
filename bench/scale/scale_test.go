package main

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestScale: the bench works, and what it counts does not grow with what waits. Times are
// not looked at.
func TestScale(t *testing.T) {
	b := bench{rows: 2000, users: []int{1, 100}, samples: 5, claiming: 500 * time.Millisecond, claimers: 4, pool: "64M"}
	r, err := b.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.Shapes {
		if s.Fill.Tasks < s.Users-s.Users/ended-1 || s.Fill.Tasks > s.Users || s.Fill.RowBytes < 500 {
			t.Errorf("%d users: %+v", s.Users, s.Fill)
		}
		if len(s.Reads) == 0 || len(s.Submits) == 0 || len(s.Claims) != 2 {
			t.Fatalf("%d users: something was not measured: %+v", s.Users, s)
		}
		for _, c := range append(s.Reads, s.Submits...) {
			if c.Empty.Requests != b.samples || c.Full.Requests != b.samples || c.Full.P99 < c.Full.Median || c.Empty.Median <= 0 {
				t.Errorf("%s: %+v", c.Name, c)
			}
		}
		for _, c := range s.Costs {
			if c.Name == "upload" || c.Name == "end of a job, and its mail" {
				if c.Statements < 3 || c.Statements > 20 || c.Commands < 5 || c.Commands > 80 {
					t.Errorf("%d users: %+v", s.Users, c)
				}
				continue
			}
			// A statement for each thousand users, and what the other parts of a sweep ask.
			if most := 12 + float64(s.Users)/1000; c.Name != overdue && c.Statements > most {
				t.Errorf("%d users, %s: %v statements, want at most %v", s.Users, c.Name, c.Statements, most)
			}
			if most := 30 + 6*float64(s.Users); c.Name != overdue && c.RowsRead > most {
				t.Errorf("%d users, %s: %v rows read, want at most %v", s.Users, c.Name, c.RowsRead, most)
			}
		}
		for _, c := range s.Claims {
			if c.Claims == 0 || c.Rate <= 0 || c.RowsRead > 50 || c.Statements < 2 || c.Statements > 10 {
				t.Errorf("%d users: %+v", s.Users, c)
			}
		}
	}
	dir := t.TempDir()
	if err := r.write(dir); err != nil {
		t.Fatal(err)
	}
	page := string(r.markdown())
	if strings.Contains(page, "NaN") || strings.Contains(page, "Inf") || !strings.Contains(page, "## 2,000 waiting jobs of 100 users") {
		t.Errorf("%s", page)
	}
}

// TestFill: what the bench writes is what the store would have written.
func TestFill(t *testing.T) {
	ctx := t.Context()
	maria, err := testserver.MariaDB(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer maria.Stop()
	redis, err := testserver.Redis(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Stop()
	s, err := open(ctx, maria, redis, filepath.Join(t.TempDir(), "bucket"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := s.fill(ctx, 60, 2); err != nil {
		t.Fatal(err)
	}
	placed, err := s.parts.Jobs.Overdue(ctx, time.Minute, 10)
	if err != nil || len(placed) != 2 {
		t.Fatalf("%d jobs have a place, want one of each user: %v", len(placed), err)
	}
	for _, j := range placed {
		sub := job.Submission{Job: j, Twin: strings.Repeat("0", 64)}
		sub.ID = uuid.NewString()
		if _, err := s.parts.Jobs.Submit(ctx, sub); err != nil {
			t.Fatal(err)
		}
		got, want := row(t, s, j.ID), row(t, s, sub.ID)
		for _, own := range []string{"id", "twin", "created_at", "due_at"} {
			if got[own] == "" || want[own] == "" {
				t.Errorf("%s is %q, and %q in the store's row", own, got[own], want[own])
			}
			delete(got, own)
			delete(want, own)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("the store's row and the bench's, -want +got\n%s", d)
		}
		if _, err := s.parts.DB.ExecContext(ctx, "DELETE FROM jobs WHERE id = ?", sub.ID); err != nil {
			t.Fatal(err)
		}
	}
}

// row is a job's, as text by column.
func row(t *testing.T, s *system, id string) map[string]string {
	t.Helper()
	rows, err := s.parts.DB.QueryContext(t.Context(), "SELECT * FROM jobs WHERE id = ?", id)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil || !rows.Next() {
		t.Fatal(id, err)
	}
	values, into := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	if err := errors.Join(rows.Scan(into...), rows.Close()); err != nil {
		t.Fatal(err)
	}
	columns := map[string]string{}
	for i, name := range names {
		columns[name] = values[i].String
	}
	return columns
}
