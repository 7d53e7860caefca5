package gridimport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/mp3lathe/mp3lathe/internal/objstore"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"

	"github.com/mp3lathe/mp3lathe/internal/jobstore"
)

var ctx = context.Background()

// old is a database of the old layout, with what must become of each file.
type old struct {
	*testserver.OldLayout
	mp3s, videos map[string][]byte // by their IDs
	messages     strings.Builder
}

// newOld makes n videos, of which every third has no MP3 yet.
func newOld(t testing.TB, n int) *old {
	t.Helper()
	layout, err := server.NewOldLayout()
	if err != nil {
		t.Fatal(err)
	}
	o := &old{OldLayout: layout, mp3s: map[string][]byte{}, videos: map[string][]byte{}}
	put := func(database string, data []byte) string {
		t.Helper()
		id, err := o.Put(ctx, database, data)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	for i := range n {
		video := bytes.Repeat([]byte{byte(i), 'v'}, 1000*i) // an empty one, too
		id := put(o.Videos, video)
		o.videos[id] = video
		mp3ID := ""
		if i%3 > 0 {
			mp3 := bytes.Repeat([]byte{byte(i), 'm'}, 300_000*(i%2)+7) // of one chunk or more
			mp3ID = put(o.MP3s, mp3)
			o.mp3s[mp3ID] = mp3
		}
		fmt.Fprintf(&o.messages, `{"video_fid": %q, "mp3_fid": null, "username": "user%d@example.org"}`+"\n", id, i%2)
		if mp3ID != "" {
			fmt.Fprintf(&o.messages, `{"video_fid": %q, "mp3_fid": %q, "username": "user%d@example.org"}`+"\n", id, mp3ID, i%2)
		}
	}
	return o
}

func (o *old) open(t testing.TB) *Source {
	t.Helper()
	src, err := Open(ctx, o.URL, Names{o.Videos, o.MP3s})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

func (o *old) dump(t testing.TB) string {
	t.Helper()
	s, err := o.Dump(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// target is where the jobs go.
type target struct {
	jobs   *jobstore.Store
	bucket *objstore.Bucket
}

// Create implements [Bucket].
func (d *target) Create(ctx context.Context, key string) (Writer, error) {
	return d.bucket.CreateSequential(ctx, key)
}

func newTarget(t testing.TB) *target {
	t.Helper()
	db, err := sqldb.Open(ctx, "sqlite:"+t.TempDir()+"/jobs.db")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := jobstore.Migrate(ctx, db); err != nil {
		t.Fatal(err)
	}
	b, err := objstore.Open(ctx, "file://"+t.TempDir()+"/bucket")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return &target{jobstore.New(db), b}
}

func (d *target) objects(t testing.TB) map[string]int64 {
	t.Helper()
	l, err := d.bucket.List(ctx, "", "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int64{}
	for _, o := range l {
		found[o.Key] = o.Bytes
	}
	return found
}

func (d *target) read(t testing.TB, key string) []byte {
	t.Helper()
	r, err := d.bucket.NewReader(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func (d *target) list(t testing.TB) []job.Job {
	t.Helper()
	l, err := d.jobs.List(ctx, job.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// check compares what is there with what was in the old databases: each file is in the
// bucket, once, and a job knows it.
func (d *target) check(t *testing.T, o *old, videos map[string][]byte) {
	t.Helper()
	jobs, objects := d.list(t), d.objects(t)
	if len(jobs) != len(o.mp3s)+len(videos) || len(objects) != len(jobs) {
		t.Errorf("%d jobs and %d objects of %d MP3s and %d videos", len(jobs), len(objects), len(o.mp3s), len(videos))
	}
	// By their bytes, whatever the IDs are.
	want := map[string]int{}
	for _, b := range o.mp3s {
		want["mp3 "+string(b)]++
	}
	for _, b := range videos {
		want["video "+string(b)]++
	}
	for _, j := range jobs {
		switch j.State {
		case job.Succeeded:
			want["mp3 "+string(d.read(t, j.Result.Key))]--
			if j.Result.Key != job.ResultKey(j.ID, 1) || j.Result.Bytes != objects[j.Result.Key] {
				t.Errorf("%+v", j.Result)
			}
		case job.Queued:
			want["video "+string(d.read(t, job.SourceKey(j.ID)))]--
			if !j.Waits || j.Lane != job.LaneBulk || j.SourceBytes != objects[job.SourceKey(j.ID)] || len(j.SourceSHA256) != 64 {
				t.Errorf("%+v", j)
			}
		default:
			t.Errorf("a job is %s", j.State)
		}
		if time.Since(j.Created) > time.Hour || j.NotifyTo != "" {
			t.Errorf("%+v", j)
		}
	}
	for b, n := range want {
		if n != 0 {
			t.Errorf("%.10q of %d bytes: %d too few or too many", b, len(b), n)
		}
	}
}

// unconverted are the videos that have no MP3.
func (o *old) unconverted(t testing.TB) map[string][]byte {
	t.Helper()
	m, err := ReadMessages(strings.NewReader(o.messages.String()))
	if err != nil {
		t.Fatal(err)
	}
	found := maps.Clone(o.videos)
	maps.DeleteFunc(found, func(id string, _ []byte) bool { return m.ofVideo(id).MP3 != "" })
	return found
}

func (o *old) options(t testing.TB) Options {
	t.Helper()
	m, err := ReadMessages(strings.NewReader(o.messages.String()))
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Messages: m, Owners: map[string]string{"user0@example.org": "zero", "user1@example.org": "one"},
		Videos: true, Retention: time.Hour,
	}
}

// TestImport: every file comes across, to its owner; a second import makes nothing; and
// the old databases are as they were.
func TestImport(t *testing.T) {
	t.Parallel()
	o, d := newOld(t, 16), newTarget(t)
	src, before := o.open(t), o.dump(t)
	opts := o.options(t)
	var last Progress
	opts.Progress = func(p Progress) {
		if p.Files < last.Files || p.Bytes < last.Bytes || p.Bytes > p.OfBytes {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
	}
	videos := o.unconverted(t)
	for _, dry := range []bool{true, false} {
		last, opts.DryRun = Progress{}, dry
		r, err := Import(ctx, src, d.jobs.WithWindow(1), d, opts)
		if err != nil {
			t.Fatal(err)
		}
		if r.MP3s.Found != len(o.mp3s) || r.MP3s.Imported != len(o.mp3s) || r.Videos.Found != len(o.videos) || r.Videos.Imported != len(videos) ||
			r.Videos.Left != len(o.videos)-len(videos) || r.MP3s.Failed+r.Videos.Failed+r.MP3s.There+r.Videos.There+r.MP3s.NoOwner != 0 {
			t.Errorf("dry %t: %+v", dry, r)
		}
		if last.Files != last.OfFiles || last.Bytes != last.OfBytes || last.OfFiles != len(o.mp3s)+len(o.videos) {
			t.Errorf("dry %t: %+v at the end", dry, last)
		}
		if dry && len(d.list(t))+len(d.objects(t)) != 0 {
			t.Error("a dry run has made something")
		}
	}
	d.check(t, o, videos)
	byOwner := map[string]int{}
	for _, j := range d.list(t) {
		byOwner[j.Owner]++
	}
	if byOwner["zero"] == 0 || byOwner["one"] == 0 || len(byOwner) != 2 {
		t.Errorf("jobs by their owners: %v", byOwner)
	}
	r, err := Import(ctx, src, d.jobs.WithWindow(1), d, o.options(t))
	if err != nil || r.MP3s.There != len(o.mp3s) || r.Videos.There != len(videos) || r.MP3s.Imported+r.Videos.Imported != 0 {
		t.Errorf("again: %+v, %v", r, err)
	}
	d.check(t, o, videos)
	if o.dump(t) != before {
		t.Error("the old databases have changed")
	}
}

// TestImportOwners: without the messages all files are one owner's, or stay.
func TestImportOwners(t *testing.T) {
	t.Parallel()
	o, d := newOld(t, 4), newTarget(t)
	src := o.open(t)
	r, err := Import(ctx, src, d.jobs, d, Options{Videos: true, Retention: time.Hour})
	if err != nil || r.MP3s.NoOwner != len(o.mp3s) || r.Videos.NoOwner != len(o.videos) || len(d.list(t)) != 0 {
		t.Errorf("of nobody: %+v, %v", r, err)
	}
	r, err = Import(ctx, src, d.jobs, d, Options{Owner: "ada", Retention: time.Hour})
	if err != nil || r.MP3s.Imported != len(o.mp3s) || r.Videos.Left != len(o.videos) {
		t.Errorf("MP3s only: %+v, %v", r, err)
	}
	r, err = Import(ctx, src, d.jobs.WithWindow(1), d, Options{Owner: "ada", Videos: true, Retention: time.Hour})
	if err != nil || r.MP3s.There != len(o.mp3s) || r.Videos.Imported != len(o.videos) {
		t.Errorf("all: %+v, %v", r, err)
	}
	d.check(t, o, o.videos)
}

// failing is a target at which the n-th call fails.
type failing struct {
	*target
	left int
}

var errDied = errors.New("it died")

func (f *failing) step() error {
	if f.left--; f.left == 0 {
		return errDied
	}
	return nil
}

func (f *failing) Get(ctx context.Context, id string) (job.Job, error) {
	if err := f.step(); err != nil {
		return job.Job{}, err
	}
	return f.jobs.Get(ctx, id)
}

func (f *failing) Insert(ctx context.Context, j job.Job) (job.Job, error) {
	if err := f.step(); err != nil {
		return job.Job{}, err
	}
	return f.jobs.WithWindow(1).Insert(ctx, j)
}

func (f *failing) Adopt(ctx context.Context, j job.Job, keep time.Duration) (job.Job, error) {
	if err := f.step(); err != nil {
		return job.Job{}, err
	}
	return f.jobs.Adopt(ctx, j, keep)
}

func (f *failing) Create(ctx context.Context, key string) (Writer, error) {
	if err := f.step(); err != nil {
		return nil, err
	}
	return f.target.Create(ctx, key)
}

// TestImportDies: wherever it ends, the next one goes on, and in the end each file is there
// once.
func TestImportDies(t *testing.T) {
	t.Parallel()
	o := newOld(t, 4)
	src := o.open(t)
	for n := 1; ; n++ {
		d := newTarget(t)
		f := &failing{d, n}
		_, err := Import(ctx, src, f, f, o.options(t))
		if err == nil {
			if n < 10 {
				t.Errorf("it has %d steps only", n)
			}
			return
		}
		if !errors.Is(err, errDied) {
			t.Fatal(err)
		}
		if r, err := Import(ctx, src, d.jobs.WithWindow(1), d, o.options(t)); err != nil || r.MP3s.Failed+r.Videos.Failed > 0 {
			t.Errorf("after step %d: %+v, %v", n, r, err)
		}
		d.check(t, o, o.unconverted(t))
	}
}

// TestImportBroken: a file that lacks a chunk is told of, and the others come across.
func TestImportBroken(t *testing.T) {
	t.Parallel()
	o, d := newOld(t, 6), newTarget(t)
	var broken string
	for id, b := range o.mp3s {
		if len(b) > 300_000 {
			broken = id
		}
	}
	object, err := bson.ObjectIDFromHex(broken)
	if err != nil {
		t.Fatal(err)
	}
	err = o.Do(ctx, o.MP3s, func(db *mongo.Database) error {
		_, err := db.Collection("fs.chunks").DeleteOne(ctx, bson.D{{Key: "files_id", Value: object}, {Key: "n", Value: 1}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	delete(o.mp3s, broken)
	opts := o.options(t)
	told := ""
	opts.Failed = func(_ string, f File, err error) { told += f.ID }
	r, err := Import(ctx, o.open(t), d.jobs.WithWindow(1), d, opts)
	if err != nil || r.MP3s.Failed != 1 || told != broken || r.MP3s.Imported != len(o.mp3s) {
		t.Errorf("%+v, %v; told of %q, not of %q", r, err, told, broken)
	}
	d.check(t, o, o.unconverted(t))
}

// TestJobID: IDs are those of jobs, in the order of time, and always the same.
func TestJobID(t *testing.T) {
	t.Parallel()
	early := File{ID: "5f1", Uploaded: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}
	late := File{ID: "4f1", Uploaded: time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)}
	a, b := jobID("mp3s", early), jobID("mp3s", late)
	if !job.ValidID(a) || a[14] != '7' || a >= b || a != jobID("mp3s", early) || a == jobID("videos", early) {
		t.Error(a, b)
	}
}

// TestFiles: what is wrong with the files of the command line is told with its line.
func TestFiles(t *testing.T) {
	t.Parallel()
	if _, err := ReadMessages(strings.NewReader("\n{\"video_fid\": \"1\"}\nx\n")); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Error(err)
	}
	if _, err := ReadMessages(strings.NewReader("{}")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Error(err)
	}
	if _, err := ReadOwners(strings.NewReader("a\tb\nc d\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Error(err)
	}
	if owners, err := ReadOwners(strings.NewReader("a@b.c\t1\n\nd\t2")); err != nil || owners["a@b.c"] != "1" || owners["d"] != "2" {
		t.Error(owners, err)
	}
}
