package gridimport

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/job"
)

// Jobs is where the jobs go.
type Jobs interface {
	// Get's error wraps [job.ErrNotFound] if there is no such job.
	Get(ctx context.Context, id string) (job.Job, error)
	Insert(ctx context.Context, j job.Job) (job.Job, error)
	// Adopt keeps a job that was done elsewhere.
	Adopt(ctx context.Context, j job.Job, retention time.Duration) (job.Job, error)
}

// Writer is an object on its way into the bucket.
type Writer interface {
	io.Writer
	Commit() error
	Abort()
}

// Bucket is where the bytes go.
type Bucket interface {
	Create(ctx context.Context, key string) (Writer, error)
}

// Options of an import.
type Options struct {
	// Messages of the old queue; nil if nobody has them.
	Messages *Messages
	// Owners has the IDs of accounts by the names in the messages.
	Owners map[string]string
	// Owner has the files of which nothing else says whose they are. Empty: they are left
	// where they are, and counted.
	Owner string
	// Videos makes waiting jobs of those videos that have no MP3 by the messages; without
	// messages of all.
	Videos bool
	// Retention is how long the MP3s are kept from now on.
	Retention time.Duration
	// DryRun changes nothing.
	DryRun bool
	// Progress is called after each file, and while it is copied; nil for nobody.
	Progress func(Progress)
	// Failed is called with each file that could not be imported; nil for nobody.
	Failed func(store string, f File, err error)
}

// Progress of an import.
type Progress struct {
	Files, OfFiles int
	Bytes, OfBytes int64
}

// Report counts what became of the files.
type Report struct {
	MP3s, Videos Counts
}

// Counts are those of one old database.
type Counts struct {
	Found int `json:"found"`
	// Imported now, with so many bytes. In a dry run: those that would be.
	Imported int   `json:"imported"`
	Bytes    int64 `json:"bytes"`
	// There are those of an earlier import.
	There int `json:"there_already"`
	// Left are those that were not asked for: videos that have an MP3, or all.
	Left int `json:"left"`
	// NoOwner are those of which nobody knows whose they are.
	NoOwner int `json:"without_owner"`
	Failed  int `json:"failed"`
}

// importer is an import under way.
type importer struct {
	ctx      context.Context
	src      *Source
	jobs     Jobs
	bucket   Bucket
	opts     Options
	progress Progress
}

// Import makes jobs of all files of src. A file that cannot be read is counted and told of,
// and the next ones follow; what is wrong with jobs or bucket ends it. The report is true
// with an error, too.
func Import(ctx context.Context, src *Source, jobs Jobs, bucket Bucket, opts Options) (Report, error) {
	i := &importer{ctx: ctx, src: src, jobs: jobs, bucket: bucket, opts: opts}
	var r Report
	for _, s := range []*Store{src.MP3s, src.Videos} {
		files, bytes, err := s.Total(ctx)
		if err != nil {
			return r, err
		}
		i.progress.OfFiles += files
		i.progress.OfBytes += bytes
	}
	if err := src.MP3s.Each(ctx, func(f File) error { return i.one(src.MP3s, f, &r.MP3s, i.mp3) }); err != nil {
		return r, err
	}
	return r, src.Videos.Each(ctx, func(f File) error { return i.one(src.Videos, f, &r.Videos, i.video) })
}

// What an import of one file can come to, besides errors of the places it goes to.
var (
	errLeft    = errors.New("it is not wanted")
	errNoOwner = errors.New("nobody knows whose it is")
)

// sourceError is a file that cannot be read, or is not what its document says.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// one imports a file and counts it.
func (i *importer) one(s *Store, f File, c *Counts, do func(id string, f File) error) error {
	if err := i.ctx.Err(); err != nil {
		return err
	}
	c.Found++
	before := i.progress.Bytes
	id := jobID(s.name, f)
	err := do(id, f)
	i.progress.Files++
	i.progress.Bytes = before + f.Bytes
	i.tell()
	switch broken := (*sourceError)(nil); {
	case err == nil:
		c.Imported++
		c.Bytes += f.Bytes
	case errors.Is(err, job.ErrConflict):
		c.There++
	case errors.Is(err, errLeft):
		c.Left++
	case errors.Is(err, errNoOwner):
		c.NoOwner++
	case errors.As(err, &broken) && i.ctx.Err() == nil:
		c.Failed++
		if i.opts.Failed != nil {
			i.opts.Failed(s.name, f, err)
		}
	default:
		return fmt.Errorf("gridimport: %s of %s: %w", f.ID, s.name, err)
	}
	return nil
}

func (i *importer) tell() {
	if i.opts.Progress != nil {
		i.opts.Progress(i.progress)
	}
}

// jobID is the ID of the job that an old file becomes: one of its time, as all IDs are, and
// always the same.
func jobID(store string, f File) string {
	sum := sha256.Sum256([]byte("gridfs " + store + " " + f.ID))
	var id uuid.UUID
	copy(id[:], sum[:16])
	ms := max(f.Uploaded.UnixMilli(), 0)
	for n := range 6 {
		id[n] = byte(ms >> (8 * (5 - n)))
	}
	id[6] = id[6]&0x0f | 0x70 // version 7
	id[8] = id[8]&0x3f | 0x80 // of RFC 9562
	return id.String()
}

// owner is whose a file is.
func (i *importer) owner(m Message) (string, error) {
	owner := cmp.Or(i.opts.Owners[m.User], i.opts.Owner)
	if owner == "" {
		return "", errNoOwner
	}
	return owner, nil
}

// there returns [job.ErrConflict] if a job has been made already.
func (i *importer) there(id string) error {
	_, err := i.jobs.Get(i.ctx, id)
	switch {
	case err == nil:
		return job.ErrConflict
	case errors.Is(err, job.ErrNotFound):
		return nil
	}
	return err
}

// mp3 makes a job of an MP3 that has succeeded.
func (i *importer) mp3(id string, f File) error {
	m := i.opts.Messages.ofMP3(f.ID)
	owner, err := i.owner(m)
	if err != nil {
		return err
	}
	if err := i.there(id); err != nil {
		return err
	}
	j := job.Job{ID: id, Owner: owner, FileName: cmp.Or(fileName(f), f.ID+".mp3"), Created: f.Uploaded}
	if m.Video != "" {
		video, ok, err := i.src.Videos.find(i.ctx, m.Video)
		if err != nil {
			return err
		}
		if ok {
			j.SourceBytes, j.FileName = video.Bytes, cmp.Or(fileName(video), j.FileName)
		}
	}
	if i.opts.DryRun {
		return nil
	}
	key := job.ResultKey(id, 1)
	if _, err := i.copy(i.src.MP3s, f, key); err != nil {
		return err
	}
	j.Result = &job.Result{Key: key, Bytes: f.Bytes}
	_, err = i.jobs.Adopt(i.ctx, j, i.opts.Retention)
	return err
}

// video makes a waiting job of a video that has no MP3. It goes by the lane of what may
// wait.
func (i *importer) video(id string, f File) error {
	m := i.opts.Messages.ofVideo(f.ID)
	if !i.opts.Videos || m.MP3 != "" {
		return errLeft
	}
	owner, err := i.owner(m)
	if err != nil {
		return err
	}
	if err := i.there(id); err != nil {
		return err
	}
	if i.opts.DryRun {
		return nil
	}
	sum, err := i.copy(i.src.Videos, f, job.SourceKey(id))
	if err != nil {
		return err
	}
	_, err = i.jobs.Insert(i.ctx, job.Job{
		ID: id, Owner: owner, FileName: cmp.Or(fileName(f), f.ID+".mp4"), SourceBytes: f.Bytes, SourceSHA256: sum, Lane: job.LaneBulk,
	})
	return err
}

// fileName is what the user is to see.
func fileName(f File) string { return job.CleanFileName(f.Name) }

// copy copies a file into the bucket and returns its SHA-256.
func (i *importer) copy(s *Store, f File, key string) (sum string, err error) {
	r, err := s.open(i.ctx, f)
	if err != nil {
		return "", &sourceError{err}
	}
	defer r.Close()
	w, err := i.bucket.Create(i.ctx, key)
	if err != nil {
		return "", err
	}
	defer w.Abort()
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, hash), &reading{r, i})
	if err != nil {
		return "", err
	}
	if n != f.Bytes {
		return "", &sourceError{fmt.Errorf("it has %d bytes, and its document says %d: %w", n, f.Bytes, fs.ErrInvalid)}
	}
	return hex.EncodeToString(hash.Sum(nil)), w.Commit()
}

// reading tells of what is read, and marks errors of it as the source's.
type reading struct {
	r io.Reader
	i *importer
}

func (r *reading) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.i.progress.Bytes += int64(n)
	r.i.tell()
	if err != nil && err != io.EOF {
		err = &sourceError{err}
	}
	return n, err
}
