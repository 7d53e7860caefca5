package jobstore

import (
	"strconv"
	"strings"
	"testing"

	"github.com/mp3lathe/mp3lathe/job"
)

// bulkRow is one of many rows, with what it takes to tell it from others.
type bulkRow struct {
	id, owner, twin         string
	state                   job.State
	dueAt, noticeAt, stored int64
	placed                  bool
}

// fill makes many rows at once.
func fill(t testing.TB, s store, n int, state func(i int) job.State) {
	t.Helper()
	const batch = 250
	for from := 0; from < n; from += batch {
		var rows []bulkRow
		for i := from; i < min(from+batch, n); i++ {
			r := bulkRow{
				id: newID(), owner: "owner" + strconv.Itoa(i%50), state: state(i),
				dueAt: int64(1000 + i), placed: i%8 > 0, stored: int64(i % 2 * 1000),
			}
			if r.state == job.Failed && i%10 == 0 {
				r.noticeAt = int64(i + 1)
			}
			if i%3 > 0 {
				r.twin = strings.Repeat(strings.ReplaceAll(r.id, "-", ""), 2)
			}
			rows = append(rows, r)
		}
		if err := s.fill(t.Context(), rows); err != nil {
			t.Fatal(err)
		}
	}
}
