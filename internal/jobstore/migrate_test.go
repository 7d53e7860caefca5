package jobstore

import (
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

// TestMigrateAtOnce: many processes start at the same time, and one of them makes
// the tables.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	for _, kind := range sqlKinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			url := newURL(t, kind)
			stores := make([]*sqlStore, 8)
			var wg sync.WaitGroup
			for i := range stores {
				wg.Go(func() {
					db, err := sqldb.Open(t.Context(), url)
					if err != nil {
						t.Error(err)
						return
					}
					t.Cleanup(func() { db.Close() })
					if err := Migrate(t.Context(), db); err != nil {
						t.Error(err)
					}
					stores[i] = &sqlStore{New(db)}
				})
			}
			wg.Wait()
			if t.Failed() {
				t.FailNow()
			}
			for _, s := range stores {
				insert(t, s)
			}
			var versions, distinct int
			if err := stores[0].db.QueryRowContext(t.Context(),
				"SELECT COUNT(*), COUNT(DISTINCT version_id) FROM jobs_schema").Scan(&versions, &distinct); err != nil {
				t.Fatal(err)
			}
			files, err := migrations.ReadDir("migrations/" + string(kind))
			if want := len(files) + 1; err != nil || versions != want || distinct != want { // goose counts from 0
				t.Errorf("%d versions noted, %d distinct; want %d, %v", versions, distinct, want, err)
			}
		})
	}
}

// TestOldRow: a row that an older program wrote is read, word by word: this test is
// to be kept as it is when the columns change. Migrating again leaves it alone.
func TestOldRow(t *testing.T) {
	eachSQL(t, func(t *testing.T, s *sqlStore) {
		if _, err := s.db.ExecContext(t.Context(), `INSERT INTO jobs (id, owner, notify_to, file_name, source_bytes, source_sha256, settings,
			state, attempt, tries, worker, progress, progress_total, failure_code, failure_detail, result,
			version, created_at, not_before, started_at, ended_at, due_at, notice_at, notice_lease_until, notified_at, notice_error)
			VALUES ('018f0000-0000-7000-8000-000000000001', 'u1', 'a@example.com', 'a.mp4', 5, 'ab',
			'{"vbr":0,"start":1500000000,"tags":{"title":"Ä"},"of-the-future":1}',
			'succeeded', 2, 1, '', 0, 0, '', '',
			'{"key":"out/k/2.mp3","bytes":3,"sha256":"cd","duration_seconds":1.5,"samples":66150,"sample_rate":44100,"channels":2,"encoding":"VBR 2","track":1,"codec":"aac","bytes_read":4,"wall_seconds":0.1,"decode_errors":0,"partial":false}',
			6, 1700000000000001, 0, 1700000000000002, 1700000000000003, 4102444800000000, 0, 0, 1700000000000004, '')`); err != nil {
			t.Fatal(err)
		}
		if err := Migrate(t.Context(), s.db); err != nil {
			t.Fatal(err)
		}
		vbr := 0
		same(t, "the row", get(t, s, "018f0000-0000-7000-8000-000000000001"), job.Job{
			ID: "018f0000-0000-7000-8000-000000000001", Owner: "u1", NotifyTo: "a@example.com", FileName: "a.mp4",
			SourceBytes: 5, SourceSHA256: "ab",
			Settings: job.Settings{VBR: &vbr, Start: 1500 * time.Millisecond, Tags: map[string]string{"title": "Ä"}},
			State:    job.Succeeded, Attempt: 2, Tries: 1, Version: 6,
			Result: &job.Result{Key: "out/k/2.mp3", Bytes: 3, Duration: 1.5, Samples: 66150, SampleRate: 44100,
				Channels: 2, Encoding: "VBR 2", Track: 1, Codec: "aac", BytesRead: 4, WallTime: 0.1},
			Created: time.UnixMicro(1700000000000001).UTC(), Started: time.UnixMicro(1700000000000002).UTC(),
			Ended: time.UnixMicro(1700000000000003).UTC(), Notified: time.UnixMicro(1700000000000004).UTC(),
			Expires: time.UnixMicro(4102444800000000).UTC(),
		})
	})
}

// TestOldTables: rows of the first version's tables live on in those of today, and a
// program of that version can still write into them.
func TestOldTables(t *testing.T) {
	t.Parallel()
	for _, kind := range sqlKinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			db, err := sqldb.Open(t.Context(), newURL(t, kind))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			first := fstest.MapFS{}
			for _, name := range []string{"0001_jobs.sql", "0002_leases.sql", "0003_identity.sql"} {
				b, err := migrations.ReadFile("migrations/" + string(kind) + "/" + name)
				if err != nil {
					t.Fatal(err)
				}
				first[string(kind)+"/"+name] = &fstest.MapFile{Data: b}
			}
			if err := db.Migrate(t.Context(), first, "jobs_schema"); err != nil {
				t.Fatal(err)
			}
			// As that version wrote it.
			add := func(state job.State, result string) string {
				t.Helper()
				id := newID()
				if _, err := db.ExecContext(t.Context(), `INSERT INTO jobs (id, owner, notify_to, file_name, source_bytes, source_sha256, settings,
					state, attempt, tries, worker, progress, progress_total, failure_code, failure_detail, result,
					version, created_at, not_before, started_at, ended_at, due_at, notice_at, notice_lease_until, notified_at, notice_error)
					VALUES (?, ?, '', '', 5, 'ab', '{}', ?, 1, 1, '', 0, 0, '', '', ?, 6, 1, 0, 2, 3, 4102444800000000, 0, 0, 4, '')`,
					id, owner, string(state), result); err != nil {
					t.Fatal(err)
				}
				return id
			}
			ids := map[job.State]string{}
			for _, state := range job.States() {
				ids[state] = add(state, map[bool]string{true: `{"key":"k","bytes":3}`}[state == job.Succeeded])
			}
			if err := Migrate(t.Context(), db); err != nil {
				t.Fatal(err)
			}
			s := &sqlStore{New(db)}
			for state, id := range ids {
				if j := get(t, s, id); j.State != state || j.SourceBytes != 5 {
					t.Errorf("%+v", j)
				}
			}
			if u, err := s.Usage(t.Context(), owner, 10); err != nil || u.Stored != 5+5+5+3 || u.Waiting != 1 { // three uploads and an MP3
				t.Errorf("%+v, %v", u, err)
			}
			if _, err := s.Claim(t.Context(), ids[job.Queued], "w", lease); err != nil {
				t.Error(err)
			}
			if _, err := s.Claim(t.Context(), add(job.Queued, ""), "w", lease); err != nil {
				t.Errorf("what the old version adds: %v", err)
			}
		})
	}
}

// TestLongTexts: what a worker says of itself, and of a failure, is cut to fit.
func TestLongTexts(t *testing.T) {
	each(t, func(t *testing.T, s store) {
		long := ""
		for len(long) < 70000 {
			long += "日本語🎵\xff"
		}
		j := insert(t, s)
		j, err := s.Claim(t.Context(), j.ID, long, lease)
		if err != nil || len(j.Worker) < 250 {
			t.Fatalf("%d bytes of the worker, %v", len(j.Worker), err)
		}
		j, err = s.Fail(t.Context(), j.ID, 1, job.Failure{Detail: long}, retention)
		if err != nil || j.Failure.Code != job.Internal || len(j.Failure.Detail) < jobs.MaxText-4 {
			t.Fatalf("%+v, %v", j.Failure, err)
		}
		if err := s.Notified(t.Context(), j.ID, 1, long); err != nil {
			t.Error(err)
		}
		if _, err := s.Lease(t.Context(), "x", long, lease); err != nil {
			t.Error(err)
		}
	})
}
