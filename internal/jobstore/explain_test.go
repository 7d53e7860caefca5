package jobstore

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

// samples are values for every query, by the name of its field.
func samples(id string) map[string][]any {
	many, hash := placeholders([]string{id}), strings.Repeat("a", 64)
	return map[string][]any{
		"census": {}, "waiting": {},
		"get": {id}, "state": {id}, "position": {id, 9, 9, id, id, 9, id},
		"cancel": {1, id}, "retry": {id}, "remove": {id},
		"claim": {"w", 1, id}, "heartbeat": {1, 1, 1, id, 1},
		"succeed": {"{}", 1, 1, 1, 1, 1, id, 1}, "fail": {"internal", "", 1, 1, id, 1}, "release": {0, "", "", 1, 1, id, 1},
		"giveUp": {"internal", "", 1, 1, id, 1}, "requeue": {0, "", "", 1, 1, id, 1},
		"enqueued": {id, 1}, "expire": {id},
		"claimNotice": {1, id}, "notified": {"", id, 1}, "releaseNotice": {id},
		"list": {id, 20}, "listOwner": {"owner7", id, 20}, "listState": {"running", id, 20},
		"listOwnerState": {"owner7", "failed", id, 20},
		"overdue":        {1000, 20}, "lost": {20}, "untold": {1000, 20}, "expirable": {20}, "purgeable": {1000, 20},
		"purge": many, "states": many,
		"leaseTake": {"h", 1, "sweep", "h"}, "leaseEnd": {"sweep", "h"},
		"identity": {}, "countWalk": {},
		"crash": {"crashed", "x/1", hash, "x/1"}, "crashes": {hash}, "quarantined": {20}, "pardon": {hash}, "forget": {1000},
		"turn": {"owner7", 2, "owner7", 2}, "place": {id}, "waitingOwners": {0, "owner7", 20},
		"usage": {"owner7", 20, "owner7", "owner7"}, "spend": {1, "owner7", 9}, "usagePurge": {},
		"twin": {keyName(7)}, "join": {"", "", "", "", id, keyName(7)}, "displace": {id, keyName(7)},
		"keyGet": {owner, keyName(7)}, "keyTake": {"h", 1, "w", 1, 1, owner, keyName(7), "v"}, "keyHold": {1, owner, keyName(7), "w"},
		"keyJob": {id, "b", 1, owner, keyName(7), "w"}, "keyAnswer": {"b", 1, 202, "", "", owner, keyName(7), "w"},
		"keyFree": {owner, keyName(7), "w"}, "keyPurge": {20},
		"acts": {id, 20}, "actsActor": {"owner7", id, 20}, "actsJob": {id, id, "", "", "", "", 20}, "actsOwner": {"owner7", id, "", "", 20}, "actPurge": {1000, 20},
		// They look nothing up.
		"actNew": nil, "insert": nil, "adopt": nil, "leaseNew": nil, "identityNew": nil, "keyNew": nil, "crashNew": nil, "spendFirst": nil,
	}
}

// indexes are those made for a query, where another would do, at a price.
var indexes = map[string]string{
	"listOwner": "jobs_owner", "listOwnerState": "jobs_owner_state", "listState": "jobs_state", "position": "jobs_waiting",
	"overdue": "jobs_told", "lost": "jobs_due", "expirable": "jobs_due", "purgeable": "jobs_due", "untold": "jobs_notice",
	"turn": "jobs_waiting", "waitingOwners": "jobs_waiting", "usage": "jobs_stored",
	"keyPurge":    "request_keys_expiry",
	"quarantined": "job_quarantine_last",
	"actsActor":   "job_audit_actor", "actsJob": "job_audit_job", "actsOwner": "job_audit_owner", "actPurge": "job_audit_at",
}

// whole are the queries that look at all rows, and say so.
var whole = map[string]bool{"census": true, "waiting": true}

// TestPlans asks the databases how they would run each query: by an index, and
// without sorting. The last page of a list is asked for too, where little is left.
func TestPlans(t *testing.T) {
	eachSQL(t, func(t *testing.T, s *sqlStore) {
		crowd(t, s)
		queued, err := s.List(t.Context(), job.Query{State: job.Queued, Limit: 1})
		if err != nil || len(queued) == 0 {
			t.Fatal(err)
		}
		edge := []string{jobs.LastID, newID(), "00000000-0000-7000-8000-000000000000", queued[0].ID}
		q := reflect.ValueOf(s.q)
		for i := range q.NumField() {
			name, text := q.Type().Field(i).Name, q.Field(i).String()
			used := ""
			for _, id := range edge {
				args, ok := samples(id)[name]
				switch {
				case whole[name]:
				case !ok:
					t.Errorf("%s: no values to ask with; write some", name)
				case text == "":
					t.Errorf("%s is empty", name)
				case args == nil:
					if !strings.HasPrefix(text, "INSERT ") || strings.Contains(text, "SELECT") {
						t.Errorf("%s: looks something up", name)
					}
				case s.db.Dialect() == sqldb.SQLite:
					used += sqlitePlan(t, s, name, text, args)
				default:
					used += mysqlPlan(t, s, name, text, args)
				}
			}
			if index := indexes[name]; index != "" && !strings.Contains(used, " "+index+" ") {
				t.Errorf("%s: its index %s is not used:%s", name, index, used)
			}
		}
	})
}

// TestFromOwnerToOwner: where users have many jobs waiting, the databases go from one of
// these to the next, and not from job to job.
func TestFromOwnerToOwner(t *testing.T) {
	eachSQL(t, func(t *testing.T, s *sqlStore) {
		fill(t, s, 5000, func(int) job.State { return job.Queued })
		for _, query := range []string{"UPDATE jobs SET placed = 0", map[sqldb.Dialect]string{sqldb.SQLite: "ANALYZE", sqldb.MySQL: "ANALYZE TABLE jobs"}[s.db.Dialect()]} {
			if _, err := s.db.ExecContext(t.Context(), query); err != nil {
				t.Fatal(err)
			}
		}
		text, args, explain, column, want := s.q.waitingOwners, []any{0, "", 20}, "EXPLAIN ", "Extra", "Using index for group-by"
		if s.db.Dialect() == sqldb.SQLite {
			explain, column, want = "EXPLAIN QUERY PLAN ", "detail", "(placed=? AND owner>?)"
		}
		plan := plan(t, s, explain+text, args)
		if !slices.ContainsFunc(plan, func(row map[string]string) bool { return strings.Contains(row[column], want) }) {
			t.Errorf("%v\n%s", plan, text)
		}
	})
}

// crowd is a table as it looks after a while: most jobs have ended.
func crowd(t *testing.T, s *sqlStore) {
	t.Helper()
	fill(t, s, 4000, func(i int) job.State {
		switch {
		case i%40 == 0:
			return job.Running
		case i%10 == 1:
			return job.Queued
		}
		return []job.State{job.Succeeded, job.Failed, job.Canceled, job.Expired, job.Expired}[i%5]
	})
	if _, err := s.Lease(t.Context(), "sweep", "h", lease); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if _, err := s.Lease(t.Context(), fmt.Sprint("x", i), "h", lease); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		claimKey(t, s, i)
		if ok, err := s.Spend(t.Context(), "owner"+strconv.Itoa(i), 5, 9); err != nil || !ok {
			t.Fatal(ok, err)
		}
		act := job.Act{ID: newID(), Actor: "owner" + strconv.Itoa(i%5), Action: job.ActView, JobID: newID(), Owner: "owner" + strconv.Itoa(i)}
		if err := s.NoteAct(t.Context(), act); err != nil {
			t.Fatal(err)
		}
	}
	for _, analyze := range map[sqldb.Dialect][]string{
		sqldb.SQLite: {"ANALYZE"},
		sqldb.MySQL:  {"ANALYZE TABLE jobs", "ANALYZE TABLE job_leases", "ANALYZE TABLE request_keys", "ANALYZE TABLE usage_days", "ANALYZE TABLE job_audit"},
	}[s.db.Dialect()] {
		if _, err := s.db.ExecContext(t.Context(), analyze); err != nil {
			t.Fatal(err)
		}
	}
}

// plan returns the rows of an EXPLAIN, each by the names of its columns.
func plan(t *testing.T, s *sqlStore, explain string, args []any) []map[string]string {
	t.Helper()
	rows, err := s.db.QueryContext(t.Context(), explain, args...)
	if err != nil {
		t.Fatalf("%s: %v", explain, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all []map[string]string
	for rows.Next() {
		values := make([]any, len(names))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		row := map[string]string{}
		for i, name := range names {
			v := *values[i].(*any)
			if b, ok := v.([]byte); ok {
				v = string(b)
			}
			row[name] = fmt.Sprint(v)
		}
		all = append(all, row)
	}
	if rows.Err() != nil || len(all) == 0 {
		t.Fatalf("%s: %d rows, %v", explain, len(all), rows.Err())
	}
	return all
}

func mysqlPlan(t *testing.T, s *sqlStore, name, text string, args []any) (used string) {
	t.Helper()
	for _, row := range plan(t, s, "EXPLAIN "+text, args) {
		extra := row["Extra"]
		used += " " + row["key"] + " "
		// There is nothing, and that is known; or it is what another row has limited.
		if strings.HasPrefix(extra, "Impossible") || strings.HasPrefix(strings.ToLower(extra), "no matching") || extra == "No tables used" || strings.HasPrefix(row["table"], "<derived") {
			continue
		}
		if slices.Contains([]string{"ALL", "index", "<nil>"}, row["type"]) || row["key"] == "<nil>" ||
			strings.Contains(extra, "filesort") || strings.Contains(extra, "temporary") {
			t.Errorf("%s: %v\n%s", name, row, text)
		}
	}
	return used
}

func sqlitePlan(t *testing.T, s *sqlStore, name, text string, args []any) (used string) {
	t.Helper()
	for _, row := range plan(t, s, "EXPLAIN QUERY PLAN "+text, args) {
		detail := row["detail"]
		used += " " + detail + " "
		bad := strings.HasPrefix(detail, "SCAN") && detail != "SCAN ahead" && detail != "SCAN waiting" && detail != "SCAN CONSTANT ROW" || strings.Contains(detail, "TEMP B-TREE")
		if strings.HasPrefix(detail, "SEARCH") {
			bad = bad || !strings.Contains(detail, " INDEX ") && !strings.Contains(detail, " INTEGER PRIMARY KEY ")
		}
		if bad {
			t.Errorf("%s: %s\n%s", name, detail, text)
		}
	}
	return used
}

// TestQueriesInOnePlace: a statement that is written elsewhere has no plan above.
func TestQueriesInOnePlace(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	statement := regexp.MustCompile("[`\"]\\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH)\\s")
	for _, f := range files {
		if f == "queries.go" || strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if m := statement.Find(b); m != nil {
			t.Errorf("%s has a statement: %s", f, m)
		}
	}
}
