package mongo

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/mp3lathe/mp3lathe/internal/mongodb"
	"github.com/mp3lathe/mp3lathe/job"
)

// asked is a query of a collection.
type asked struct {
	collection string
	query
}

// queries are all of them, with values. Those of queries.go go by the names of their
// functions.
func queries(id string) map[string]asked {
	const now, span = int64(2000), int64(1000)
	jobs := map[string]query{
		"list": list("", "", id), "list of a user": list("owner7", "", id), "list of a state": list("", job.Running, id), "list of both": list("owner7", job.Failed, id),
		"placed": placed(), "placedBefore": placedBefore(id), "placedOf": placedOf("owner7"), "waitingBefore": waitingBefore("owner7", id),
		"waitingSince": waitingSince("owner7", now), "waitingOwners": waitingOwners("owner7", now), "placedAfter": placedAfter("owner7"), "waiting": waiting("owner7"), "stored": stored("owner7"),
		"overdue": overdue(now, span), "lost": lost(now), "untold": untold(now, span), "expirable": expirable(now), "purgeable": purgeable(now, span),
		"withTwin": withTwin("x"), "forgotten": forgotten(now),
		"census": census(), "inLane": inLane(job.LaneBulk), "madeFirst": madeFirst(job.LaneBulk), "againFirst": againFirst(job.LaneBulk, now),
	}
	all := map[string]asked{
		"keys that have expired":  {keysName, query{bson.D{is("expires_at", "$lte", now)}, ascending("expires_at"), byExpiry}},
		"suspects":                {quarantineName, query{bson.D{is("last_at", "$gt", int64(0))}, bson.D{{Key: "last_at", Value: -1}}, byLast}},
		"crashes long ago":        {quarantineName, query{bson.D{is("last_at", "$lte", now)}, nil, byLast}},
		"what was spent long ago": {usageName, query{bson.D{is("day", "$lt", now)}, nil, byDay}},
		"acts":                    {auditName, acts(job.ActQuery{}, id)},
		"acts of one":             {auditName, acts(job.ActQuery{Actor: "owner7"}, id)},
		"acts on a job":           {auditName, acts(job.ActQuery{JobID: id, Actor: "owner7", Owner: "owner8"}, id)},
		"acts on a user's jobs":   {auditName, acts(job.ActQuery{Owner: "owner7", Actor: "owner8"}, id)},
		"actsBefore":              {auditName, actsBefore(now, span)},
		"departures":              {departuresName, query{bson.D{is("due_at", "$lte", now)}, ascending("due_at"), byDeparture}},
	}
	for name, q := range jobs {
		all[name] = asked{jobsName, q}
	}
	return all
}

// TestAllQueries: none is left out below.
func TestAllQueries(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "queries.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	known, n := queries(newID()), 0
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Type.Results == nil {
			continue
		}
		if result, ok := f.Type.Results.List[0].Type.(*ast.Ident); ok && result.Name == "query" {
			n++
			if _, ok := known[f.Name.Name]; !ok {
				t.Errorf("%s is not among the queries of this test; add it", f.Name.Name)
			}
		}
	}
	if n < 15 {
		t.Errorf("only %d queries were found", n)
	}
}

// TestIndexes: the index that each query names is there, begins with what the query
// compares, and gives the order that it wants. That it can be used says the server, below;
// this holds on each.
func TestIndexes(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for name, q := range queries(newID()) {
		keys := indexKeys(t, s, q.collection, q.index)
		i := 0
		for i < len(keys) && equals(q.filter, keys[i]) {
			i++
		}
		switch {
		case len(keys) == 0:
			t.Errorf("%s: there is no index %s", name, q.index)
		case i == len(keys) && q.sort == nil: // all of it is compared
		case i < len(keys) && q.sort != nil && q.sort[0].Key != keys[i]:
			t.Errorf("%s: %s gives the order of %s, and not of %s", name, q.index, keys[i], q.sort[0].Key)
		case i == 0 && !compares(q.filter, keys[0]):
			t.Errorf("%s: %s begins with %s, of which nothing is asked", name, q.index, keys[0])
		}
	}
}

func indexKeys(t *testing.T, s *Store, collection, index string) []string {
	t.Helper()
	specs, err := s.db.Collection(collection).Indexes().ListSpecifications(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range specs {
		if spec.Name == index {
			elements, err := spec.KeysDocument.Elements()
			if err != nil {
				t.Fatal(err)
			}
			keys := make([]string, len(elements))
			for i, e := range elements {
				keys[i] = e.Key()
			}
			return keys
		}
	}
	return nil
}

func compares(filter bson.D, field string) bool {
	return slices.ContainsFunc(filter, func(e bson.E) bool { return e.Key == field })
}

// equals reports whether a filter wants one value, or one of a few.
func equals(filter bson.D, field string) bool {
	return slices.ContainsFunc(filter, func(e bson.E) bool {
		how, ok := e.Value.(bson.D)
		return e.Key == field && (!ok || how[0].Key == "$in")
	})
}

// TestPlans asks the server how it would run each query: by its index, without sorting,
// and without a walk through more than it needs.
func TestPlans(t *testing.T) {
	t.Parallel()
	if !server.Real {
		t.Skip("FerretDB 1.x has no plans; name a MongoDB with MP3LATHE_TEST_MONGODB")
	}
	s := newStore(t)
	var docs []any
	for i := range 4000 {
		state := []job.State{job.Succeeded, job.Failed, job.Canceled, job.Expired, job.Expired}[i%5]
		switch {
		case i%40 == 0:
			state = job.Running
		case i%10 == 1:
			state = job.Queued
		}
		id := newID()
		docs = append(docs, bson.D{
			{Key: "_id", Value: id}, {Key: "owner", Value: fmt.Sprint("owner", i%50)}, {Key: "state", Value: state}, {Key: "placed", Value: i%8 == 0}, {Key: "twin", Value: twinField("", id)},
			{Key: "due_at", Value: int64(1000 + i)}, {Key: "not_before", Value: int64(0)}, {Key: "notice_at", Value: int64(i % 10 / 9 * i)}, {Key: "notice_lease_until", Value: int64(0)},
			{Key: "stored", Value: int64(i % 2 * 1000)},
		})
	}
	if _, err := s.jobs.InsertMany(ctx, docs); err != nil {
		t.Fatal(err)
	}
	id := docs[len(docs)/2].(bson.D)[0].Value.(string)
	for name, q := range queries(id) {
		find := bson.D{{Key: "find", Value: q.collection}, {Key: "filter", Value: q.filter}, {Key: "limit", Value: 20}, {Key: "hint", Value: q.index}}
		if q.sort != nil {
			find = append(find, bson.E{Key: "sort", Value: q.sort})
		}
		plan := explain(t, s, find)
		text := plan.Lookup("queryPlanner", "winningPlan").String()
		for _, bad := range []string{"COLLSCAN", `"SORT"`} {
			if strings.Contains(text, bad) {
				t.Errorf("%s: %s in %s", name, bad, text)
			}
		}
		if !strings.Contains(text, "IXSCAN") {
			t.Errorf("%s: no index in %s", name, text)
		}
		// Few are walked through in vain, where not all are asked for.
		if name == "census" || name == "inLane" {
			continue
		}
		if examined, ok := plan.Lookup("executionStats", "totalDocsExamined").AsInt64OK(); !ok || examined > 600 {
			t.Errorf("%s: %d documents were looked at for 20: %s", name, examined, text)
		}
	}
}

func explain(t *testing.T, s *Store, find bson.D) bson.Raw {
	t.Helper()
	plan, err := s.db.RunCommand(ctx, bson.D{{Key: "explain", Value: find}, {Key: "verbosity", Value: "executionStats"}}).Raw()
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

// TestMigrateAtOnce: many processes start at the same time, and all find what they need.
func TestMigrateAtOnce(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if newer, err := Migrate(ctx, db); err != nil || newer {
				t.Errorf("newer: %t, %v", newer, err)
			}
		})
	}
	wg.Wait()
	s := New(db)
	for name, indexes := range schema().Indexes {
		for _, x := range indexes {
			if len(indexKeys(t, s, name, x.Name)) != len(x.Keys) {
				t.Errorf("%s lacks its index %s", name, x.Name)
			}
		}
	}
	// Who died while he migrated keeps nobody away for ever, and one who is at it is waited
	// for.
	old := schema()
	old.Name, old.Version = "other", 2
	if _, err := db.Migrate(ctx, mongodb.Schema{Name: "other", Version: 1}); err != nil {
		t.Fatal(err)
	}
	c := db.Collection("mp3lathe_schema")
	hold := func(until int64) {
		t.Helper()
		if _, err := c.UpdateOne(ctx, bson.D{{Key: "_id", Value: "other"}}, bson.D{{Key: "$set", Value: bson.D{{Key: "holder", Value: "x"}, {Key: "until", Value: until}}}}); err != nil {
			t.Fatal(err)
		}
	}
	now, err := db.Now(ctx)
	if err != nil {
		t.Fatal(err)
	}
	hold(now + lease.Microseconds())
	waited := make(chan error, 1)
	go func() { _, err := db.Migrate(ctx, old); waited <- err }()
	select {
	case err := <-waited:
		t.Fatalf("it did not wait: %v", err)
	default:
	}
	hold(1)
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if newer, err := db.Migrate(ctx, mongodb.Schema{Name: "other", Version: 1}); err != nil || !newer {
		t.Errorf("newer: %t, %v", newer, err)
	}
}

// TestUnique: a second row of a twin is refused by the server, whoever inserts it.
func TestUnique(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	for range 2 {
		made(t, s, submission(nil, "")) // without one any number
	}
	made(t, s, submission(nil, "x"))
	if _, err := s.Submit(ctx, submission(nil, "x")); !errors.Is(err, job.ErrTwin) {
		t.Error(err)
	}
}
