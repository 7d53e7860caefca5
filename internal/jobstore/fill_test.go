package jobstore

import (
	"strconv"
	"strings"
	"testing"

	"github.com/mp3lathe/mp3lathe/job"
)

// fill makes many rows at once.
func fill(t testing.TB, s *Store, n int, state func(i int) job.State) {
	t.Helper()
	const batch = 250
	for from := 0; from < n; from += batch {
		var rows []string
		var args []any
		for i := from; i < min(from+batch, n); i++ {
			st := state(i)
			notice := "0"
			if st == job.Failed && i%10 == 0 {
				notice = strconv.Itoa(i + 1)
			}
			id, twin := newID(), any(nil)
			if i%3 > 0 {
				twin = strings.Repeat(strings.ReplaceAll(id, "-", ""), 2)
			}
			rows = append(rows, `(?, ?, ?, 'x.mp4', 1, 'ab', '{}', ?, 1, 1, '', 0, 0, '', '', '', 1, 1, 0, 0, 0, `+
				strconv.Itoa(1000+i)+`, `+notice+`, 0, 0, '', ?, `+strconv.Itoa(min(i%8, 1))+`, `+strconv.Itoa(i%2*1000)+`)`)
			args = append(args, id, "owner"+strconv.Itoa(i%50), notifyTo, string(st), twin)
		}
		if _, err := s.db.ExecContext(t.Context(), `INSERT INTO jobs (id, owner, notify_to, file_name, source_bytes, source_sha256, settings,
			state, attempt, tries, worker, progress, progress_total, failure_code, failure_detail, result,
			version, created_at, not_before, started_at, ended_at, due_at, notice_at, notice_lease_until, notified_at, notice_error, twin, placed, stored)
			VALUES `+strings.Join(rows, ", "), args...); err != nil {
			t.Fatal(err)
		}
	}
}
