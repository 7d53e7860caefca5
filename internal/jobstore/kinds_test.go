package jobstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/mp3lathe/mp3lathe/internal/jobs"
	"github.com/mp3lathe/mp3lathe/internal/jobstore/mongo"
	"github.com/mp3lathe/mp3lathe/internal/mongodb"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/job"
)

// kind of database.
type kind string

const (
	sqlite = kind(sqldb.SQLite)
	mysql  = kind(sqldb.MySQL)
	// mongoDB is FerretDB, or a MongoDB that MP3LATHE_TEST_MONGODB names.
	mongoDB = kind("mongodb")
)

// sqlKinds are those of this package.
var sqlKinds = []kind{sqlite, mysql}

var kinds = append(sqlKinds, mongoDB)

// pick chooses what costs what on the kinds of databases.
func (k kind) pick(sqlite, server, ferretdb int) int {
	switch {
	case k == mongoDB && !servers.Mongo.Real:
		return ferretdb
	case k == "sqlite":
		return sqlite
	}
	return server
}

// store is a store of any kind, and a way around it.
type store interface {
	jobs.Store
	kind() kind
	close(t testing.TB)
	window(n int) store

	// setJob sets a number of a job, and addJob adds to it.
	setJob(ctx context.Context, id, field string, value int64) error
	addJob(ctx context.Context, id, field string, value int64) error
	// setKey sets a number of a key; of all with the name "".
	setKey(ctx context.Context, name, field string, value int64) error
	lookKey(ctx context.Context, k job.RequestKey) (rec job.KeyRecord, holder string, free bool, err error)
	// reset makes a success, or a canceled job, a queued one again, which no method does.
	reset(ctx context.Context, id string) error
	// yesterday makes of what was spent on a day what was spent the day before.
	yesterday(ctx context.Context) error
	// days counts what was spent on a day.
	days(ctx context.Context) (int, error)
	// placed counts jobs that have a place.
	placed(ctx context.Context) (int, error)
	fill(ctx context.Context, rows []bulkRow) error
}

func newURL(t testing.TB, k kind) string {
	t.Helper()
	url, err := "sqlite:"+filepath.Join(t.TempDir(), "jobs.db"), error(nil)
	switch k {
	case mysql:
		url, err = servers.MariaDB.NewDatabase(t.Context())
	case mongoDB:
		url, err = servers.Mongo.NewDatabase()
	}
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func open(t testing.TB, url string) store {
	t.Helper()
	if !mongodb.IsURL(url) {
		return openSQL(t, url)
	}
	db, err := mongodb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if _, err := mongo.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	s := mongo.New(db)
	return &mongoStore{s, db}
}

// openSQL opens what this package keeps.
func openSQL(t testing.TB, url string) *sqlStore {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	s := &sqlStore{New(db)}
	t.Cleanup(func() { s.close(t) })
	if err := Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	return s
}

// sqlStore is a store in SQL.
type sqlStore struct{ *Store }

func (s *sqlStore) kind() kind { return kind(s.db.Dialect()) }

func (s *sqlStore) close(t testing.TB) {
	if err := s.db.Close(); err != nil {
		t.Error(err)
	}
}

func (s *sqlStore) window(n int) store { return &sqlStore{s.WithWindow(n).(*Store)} }

func (s *sqlStore) do(ctx context.Context, query string, args ...any) error {
	_, err := s.db.ExecContext(ctx, query, args...)
	return err
}

func (s *sqlStore) count(ctx context.Context, query string) (n int, err error) {
	err = s.db.QueryRowContext(ctx, query).Scan(&n)
	return n, err
}

func (s *sqlStore) setJob(ctx context.Context, id, field string, value int64) error {
	return s.do(ctx, "UPDATE jobs SET "+field+" = ? WHERE id = ?", value, id)
}

func (s *sqlStore) addJob(ctx context.Context, id, field string, value int64) error {
	return s.do(ctx, "UPDATE jobs SET "+field+" = "+field+" + ? WHERE id = ?", value, id)
}

func (s *sqlStore) setKey(ctx context.Context, name, field string, value int64) error {
	return s.do(ctx, "UPDATE request_keys SET "+field+" = ? WHERE name = ? OR ? = ''", value, name, name)
}

func (s *sqlStore) lookKey(ctx context.Context, k job.RequestKey) (job.KeyRecord, string, bool, error) {
	return s.key(ctx, k)
}

func (s *sqlStore) reset(ctx context.Context, id string) error {
	return s.do(ctx, `UPDATE jobs SET state = 'queued', result = '', ended_at = 0, version = version + 1
		WHERE id = ? AND state IN ('succeeded', 'canceled')`, id)
}

func (s *sqlStore) yesterday(ctx context.Context) error {
	return s.do(ctx, "UPDATE usage_days SET day = day - 1")
}

func (s *sqlStore) days(ctx context.Context) (int, error) {
	return s.count(ctx, "SELECT COUNT(*) FROM usage_days")
}

func (s *sqlStore) placed(ctx context.Context) (int, error) {
	return s.count(ctx, "SELECT COUNT(*) FROM jobs WHERE state = 'queued' AND placed = 1")
}

func (s *sqlStore) fill(ctx context.Context, rows []bulkRow) error {
	const columns = `id, owner, notify_to, file_name, source_bytes, source_sha256, settings,
		state, attempt, tries, worker, progress, progress_total, failure_code, failure_detail, result,
		version, created_at, not_before, started_at, ended_at, due_at, notice_at, notice_lease_until, notified_at, notice_error, twin, placed, stored`
	var values []string
	var args []any
	for _, r := range rows {
		values = append(values, fmt.Sprintf(`(?, ?, ?, 'x.mp4', 1, 'ab', '{}', ?, 1, 1, '', 0, 0, '', '', '', 1, 1, 0, 0, 0, %d, %d, 0, 0, '', ?, %d, %d)`,
			r.dueAt, r.noticeAt, map[bool]int{true: 1}[r.placed], r.stored))
		args = append(args, r.id, r.owner, notifyTo, string(r.state), any(map[bool]any{true: r.twin, false: nil}[r.twin != ""]))
	}
	return s.do(ctx, "INSERT INTO jobs ("+columns+") VALUES "+strings.Join(values, ", "), args...)
}

// mongoStore is a store in MongoDB.
type mongoStore struct {
	*mongo.Store
	db *mongodb.DB
}

func (s *mongoStore) kind() kind { return mongoDB }

func (s *mongoStore) close(testing.TB) { _ = s.db.Close() }

func (s *mongoStore) window(n int) store {
	return &mongoStore{s.WithWindow(n).(*mongo.Store), s.db}
}

func (s *mongoStore) update(ctx context.Context, collection string, filter, update bson.D) error {
	_, err := s.db.Collection(collection).UpdateMany(ctx, filter, update)
	return err
}

func set(d bson.D) bson.D { return bson.D{{Key: "$set", Value: d}} }

func inc(field string, by int64) bson.D {
	return bson.D{{Key: "$inc", Value: bson.D{{Key: field, Value: by}}}}
}

func (s *mongoStore) setJob(ctx context.Context, id, field string, value int64) error {
	return s.update(ctx, "jobs", bson.D{{Key: "_id", Value: id}}, set(bson.D{{Key: field, Value: value}}))
}

func (s *mongoStore) addJob(ctx context.Context, id, field string, value int64) error {
	return s.update(ctx, "jobs", bson.D{{Key: "_id", Value: id}}, inc(field, value))
}

func (s *mongoStore) setKey(ctx context.Context, name, field string, value int64) error {
	filter := bson.D{}
	if name != "" {
		filter = bson.D{{Key: "_id", Value: owner + " " + name}}
	}
	return s.update(ctx, "request_keys", filter, set(bson.D{{Key: field, Value: value}}))
}

func (s *mongoStore) lookKey(ctx context.Context, k job.RequestKey) (rec job.KeyRecord, holder string, free bool, err error) {
	var row struct {
		Holder    string `bson:"holder"`
		HeldUntil int64  `bson:"held_until"`
		ExpiresAt int64  `bson:"expires_at"`
		Job       string `bson:"job"`
		Status    int    `bson:"status"`
	}
	err = s.db.Collection("request_keys").FindOne(ctx, bson.D{{Key: "_id", Value: k.Owner + " " + k.Name}}).Decode(&row)
	if err == driver.ErrNoDocuments {
		return rec, "", false, job.ErrNotFound
	}
	now, nowErr := s.db.Now(ctx)
	if err == nil {
		err = nowErr
	}
	rec = job.KeyRecord{JobID: row.Job, Held: row.Status == 0 && row.HeldUntil > now, Answer: job.Answer{Status: row.Status}}
	return rec, row.Holder, row.ExpiresAt <= now || row.Status == 0 && row.Job == "" && row.HeldUntil <= now, err
}

func (s *mongoStore) reset(ctx context.Context, id string) error {
	u := append(set(bson.D{{Key: "state", Value: "queued"}, {Key: "result", Value: ""}, {Key: "ended_at", Value: int64(0)}}), inc("version", 1)...)
	return s.update(ctx, "jobs", bson.D{{Key: "_id", Value: id}, {Key: "state", Value: bson.D{{Key: "$in", Value: bson.A{"succeeded", "canceled"}}}}}, u)
}

// yesterday inserts what is another day's: the day is part of the ID.
func (s *mongoStore) yesterday(ctx context.Context) error {
	c := s.db.Collection("usage_days")
	cursor, err := c.Find(ctx, bson.D{})
	if err != nil {
		return err
	}
	var rows []struct {
		ID    string `bson:"_id"`
		Day   int64  `bson:"day"`
		Bytes int64  `bson:"bytes"`
	}
	if err := cursor.All(ctx, &rows); err != nil {
		return err
	}
	if _, err := c.DeleteMany(ctx, bson.D{}); err != nil {
		return err
	}
	for _, r := range rows {
		_, who, _ := strings.Cut(r.ID, " ")
		day := r.Day - 1
		if _, err := c.InsertOne(ctx, bson.D{{Key: "_id", Value: fmt.Sprint(day, " ", who)}, {Key: "day", Value: day}, {Key: "bytes", Value: r.Bytes}}); err != nil {
			return err
		}
	}
	return nil
}

func (s *mongoStore) days(ctx context.Context) (int, error) {
	n, err := s.db.Collection("usage_days").CountDocuments(ctx, bson.D{})
	return int(n), err
}

func (s *mongoStore) placed(ctx context.Context) (int, error) {
	n, err := s.db.Collection("jobs").CountDocuments(ctx, bson.D{{Key: "state", Value: "queued"}, {Key: "placed", Value: true}})
	return int(n), err
}

func (s *mongoStore) fill(ctx context.Context, rows []bulkRow) error {
	docs := make([]any, len(rows))
	for i, r := range rows {
		twin := "alone " + r.id
		if r.twin != "" {
			twin = "twin " + r.twin
		}
		docs[i] = bson.D{
			{Key: "_id", Value: r.id}, {Key: "owner", Value: r.owner}, {Key: "notify_to", Value: notifyTo}, {Key: "settings", Value: "{}"}, {Key: "state", Value: r.state},
			{Key: "attempt", Value: 1}, {Key: "due_at", Value: r.dueAt}, {Key: "notice_at", Value: r.noticeAt}, {Key: "notice_lease_until", Value: int64(0)}, {Key: "not_before", Value: int64(0)},
			{Key: "twin", Value: twin}, {Key: "placed", Value: r.placed}, {Key: "stored", Value: r.stored},
		}
	}
	_, err := s.db.Collection("jobs").InsertMany(ctx, docs)
	return err
}

// real names a MongoDB that is to be used instead of FerretDB.
func real() string { return os.Getenv("MP3LATHE_TEST_MONGODB") }
