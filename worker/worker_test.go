package worker_test

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
	"github.com/mp3lathe/mp3lathe/worker"
)

// TestSuccess: the row tells what transcode tells, the object is what transcode makes
// into a file, and nothing else is left.
func TestSuccess(t *testing.T) {
	t.Parallel()
	for _, f := range fixtures(t) {
		if f.expected != "ok" || !slices.Contains([]string{"waltz.m4a", "phone.3gp", "media/aac-tiny.m4a", "media/mp3-cbr.mp4", "media/frag-audio.m4a"}, f.file) {
			continue
		}
		t.Run(f.file, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			data := fixture(t, f.file)
			id := r.upload(data, job.Settings{})
			r.handle(r.worker(), id)

			mp3, result := convert(t, data, transcode.Options{})
			encoding := result.Settings.Encoding.String()
			if result.Settings.Copied {
				encoding = "copy"
			}
			j := r.get(id)
			if j.State != job.Succeeded || j.Failure != nil || j.Attempt != 1 || j.Tries != 1 || j.Worker != "" {
				t.Errorf("the job is %+v", j)
			}
			want := &job.Result{
				Key: job.ResultKey(id, 1), Bytes: int64(len(mp3)), Duration: result.Duration.Seconds(), Samples: result.Samples,
				SampleRate: result.Settings.SampleRate, Channels: result.Settings.Channels, Encoding: encoding,
				Track: 1, Codec: f.codec, Language: result.Track.Language, DecodeErrors: result.DecodeErrors,
			}
			if d := gocmp.Diff(want, j.Result, cmpopts.IgnoreFields(job.Result{}, "BytesRead", "WallTime")); d != "" {
				t.Errorf("result: want -, got +\n%s", d)
			}
			if j.Result.Samples != f.samples || j.Result.SampleRate != f.rate {
				t.Errorf("%d samples at %d Hz; the table says %d at %d", j.Result.Samples, j.Result.SampleRate, f.samples, f.rate)
			}
			if j.Result.BytesRead <= 0 || j.Result.WallTime <= 0 {
				t.Errorf("read %d bytes in %v s", j.Result.BytesRead, j.Result.WallTime)
			}
			if d := time.Until(j.Expires) - time.Hour; d < -time.Minute || d > time.Minute {
				t.Errorf("it expires %v", j.Expires)
			}
			r.holds(j.Result.Key)
			if !bytes.Equal(r.object(j.Result.Key), mp3) {
				t.Error("the object is not what transcode makes into a file")
			}
			r.asked("notify " + id + "/1")
			if len(r.queue.hints) < 2 || slices.ContainsFunc(r.queue.hints, func(h string) bool { return h != id }) {
				t.Errorf("hints %q", r.queue.hints)
			}

			// The same task again, and one of a job that is not there.
			r.handle(r.worker(), id)
			r.handle(r.worker(), uuid.Must(uuid.NewV7()).String())
			r.handle(r.worker(), "../etc/passwd")
			r.asked()
			r.holds(j.Result.Key)
		})
	}
}

// TestNobodyToTell: a job without an address brings no notice.
func TestNobodyToTell(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	good, bad := uuid.Must(uuid.NewV7()).String(), uuid.Must(uuid.NewV7()).String()
	for id, file := range map[string]string{good: "phone.3gp", bad: "media/bad-text.mp4"} {
		r.put(job.SourceKey(id), fixture(t, file))
		if _, err := r.jobs.Insert(t.Context(), job.Job{ID: id, Owner: "ada"}); err != nil {
			t.Fatal(err)
		}
		r.handle(r.worker(), id)
	}
	if r.get(good).State != job.Succeeded || r.get(bad).State != job.Failed {
		t.Errorf("states %s, %s", r.get(good).State, r.get(bad).State)
	}
	r.asked()
}

// TestProgress: it grows, is bounded by the total, and every step is hinted at.
func TestProgress(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.bucket.reading = slowly
	id := r.upload(pcm(30), job.Settings{})
	r.handle(r.worker(), id)
	steps := r.jobs.told()
	distinct := slices.Compact(slices.Clone(steps))
	if len(distinct) < 3 {
		t.Errorf("progress %v", steps)
	}
	for i, p := range steps {
		if p.Total != 0 && p.Total != 30*time.Second || p.Position > 30*time.Second || i > 0 && p.Position < steps[i-1].Position {
			t.Errorf("progress %v", steps)
			break
		}
	}
	// Beginning and end are hinted at too; the first step may be that of 0.
	if hints := len(r.queue.hints); hints < len(distinct) || hints > len(distinct)+2 {
		t.Errorf("%d hints for %d steps", hints, len(distinct))
	}
}

// TestBadFiles: what is wrong with a file ends its job at once, with the code of the
// table, words for the user and a notice.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.worker()
	for _, f := range fixtures(t) {
		if f.expected == "ok" || slices.Contains(f.also, "ok") {
			continue
		}
		id := r.upload(fixture(t, f.file), job.Settings{})
		r.handle(w, id)
		j := r.get(id)
		if j.State != job.Failed || j.Tries != 1 {
			t.Errorf("%s: %s after %d tries", f.file, j.State, j.Tries)
			continue
		}
		if code := string(j.Failure.Code); code != f.expected && !slices.Contains(f.also, code) {
			t.Errorf("%s: %s, want %s", f.file, code, f.expected)
		}
		checkWords(t, j.Failure)
		r.asked("notify " + id + "/1")
		r.holds(job.SourceKey(id)) // for another try, until it expires
		if err := r.bucket.Delete(t.Context(), job.SourceKey(id)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCodes: what transcode calls the source's fault is known to users by that name,
// and final.
func TestCodes(t *testing.T) {
	t.Parallel()
	for _, c := range []transcode.Code{
		transcode.CodeNoAudio, transcode.CodeInvalidData, transcode.CodeTruncated, transcode.CodeUnsupported,
		transcode.CodeEncrypted, transcode.CodeLimit, transcode.CodeOptions, transcode.CodeTimeout,
	} {
		if !slices.Contains(job.Codes(), job.Code(c)) || !job.Code(c).Permanent() {
			t.Errorf("%s is not a code of job, or not a final one", c)
		}
	}
}

// checkWords: a user is told what it is, in words without our inside.
func checkWords(t *testing.T, f *job.Failure) {
	t.Helper()
	for _, word := range []string{secret, "/", "transcode", "worker", "libav", "bucket", "0x", "%!"} {
		if strings.Contains(f.Detail, word) {
			t.Errorf("%s: the detail %q tells of %q", f.Code, f.Detail, word)
		}
	}
	for _, r := range f.Detail {
		if !strconv.IsPrint(r) {
			t.Errorf("%s: the detail %q", f.Code, f.Detail)
		}
	}
}

func TestBadSettings(t *testing.T) {
	t.Parallel()
	bad := 99
	for _, c := range []struct {
		name   string
		s      job.Settings
		change func(*worker.Config)
		want   job.Code
		words  string
	}{
		{name: "no such track", s: job.Settings{Track: 9}, want: job.NoAudio, words: "track 9"},
		{name: "no such language", s: job.Settings{Lang: "tlh"}, want: job.NoAudio, words: "tlh"},
		{name: "beyond the end", s: job.Settings{Start: time.Hour}, want: job.BadOptions, words: "1h0m0s"},
		{name: "beyond all sense", s: job.Settings{VBR: &bad}, want: job.BadOptions, words: "99"},
		{name: "too long for the user", s: job.Settings{MaxDuration: time.Second}, want: job.Limit, words: "1s"},
		{name: "too long for us", s: job.Settings{MaxDuration: -1}, want: job.Limit, words: "2s",
			change: func(c *worker.Config) { c.Limits.Duration = 2 * time.Second }},
		{name: "too long for both", s: job.Settings{MaxDuration: time.Hour}, want: job.Limit, words: "2s",
			change: func(c *worker.Config) { c.Limits.Duration = 2 * time.Second }},
		{name: "no bound of ours", s: job.Settings{MaxDuration: time.Second}, want: job.Limit, words: "1s",
			change: func(c *worker.Config) { c.Limits.Duration = -1 }},
		{name: "too large", want: job.Limit, words: "1000 bytes",
			change: func(c *worker.Config) { c.Limits.OutputBytes = 1000 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			id := r.upload(fixture(t, "phone.3gp"), c.s)
			w := r.worker()
			if c.change != nil {
				w = r.worker(c.change)
			}
			r.handle(w, id)
			j := r.get(id)
			if j.State != job.Failed || j.Failure.Code != c.want || !strings.Contains(j.Failure.Detail, c.words) {
				t.Errorf("%s, %+v; want %s with %q", j.State, j.Failure, c.want, c.words)
			}
			r.asked("notify " + id + "/1")
			r.holds(job.SourceKey(id))
		})
	}
}

// TestPartial: what is left of a cut file, if the user takes it.
func TestPartial(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.upload(fixture(t, "media/bad-cut-mdat.m4a"), job.Settings{AllowPartial: true})
	r.handle(r.worker(), id)
	if j := r.get(id); j.State != job.Succeeded || !j.Result.Partial {
		t.Errorf("%s, %+v", j.State, j.Result)
	}
	// But a bucket that breaks off is no such file.
	id = r.upload(fixture(t, "waltz.m4a"), job.Settings{AllowPartial: true})
	var reads int
	r.faults().set("Read", func() error {
		if reads++; reads > 3 {
			return errDown
		}
		return nil
	})
	r.handle(r.worker(), id)
	if j := r.get(id); j.State != job.Queued || j.Failure.Code != job.Storage {
		t.Errorf("%s, %+v", j.State, j.Failure)
	}
}

// TestSettingsReachTheMP3 of a job, as they do in the command.
func TestSettingsReachTheMP3(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	data := fixture(t, "phone.3gp")
	s := job.Settings{Bitrate: 48, Rate: 16000, Channels: 2, Start: time.Second, Duration: time.Second, Tags: map[string]string{"title": "T"}}
	id := r.upload(data, s)
	r.handle(r.worker(), id)
	j := r.get(id)
	if j.State != job.Succeeded {
		t.Fatalf("%s, %+v", j.State, j.Failure)
	}
	mp3, _ := convert(t, data, worker.Options(s))
	if !bytes.Equal(r.object(j.Result.Key), mp3) {
		t.Error("the object is not what transcode makes of the same settings")
	}
	if got := j.Result; got.Encoding != "CBR 48" || got.SampleRate != 16000 || got.Channels != 2 || got.Samples != 16000 {
		t.Errorf("result %+v", got)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		cfg  worker.Config
		want string
	}{
		{worker.Config{}, ""},
		{worker.Config{Lease: time.Second}, ""},
		{worker.Config{Lease: time.Second, Heartbeat: 201 * time.Millisecond}, "fifth"},
		{worker.Config{Lease: -1}, "negative"},
		{worker.Config{Sweep: worker.SweepConfig{Stale: -1}}, "negative"},
		{worker.Config{MaxTries: -1}, "negative"},
	} {
		if err := c.cfg.Validate(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.want)
		}
	}
	if _, err := worker.New(worker.Config{}, worker.Deps{}); err == nil {
		t.Error("a worker without parts")
	}
	if _, err := worker.NewSweeper(worker.Config{}, worker.SweepDeps{}); err == nil {
		t.Error("a sweeper without parts")
	}
	r := newRig(t)
	if _, err := worker.New(worker.Config{MaxTries: -1}, worker.Deps{Jobs: r.jobs, Queue: r.queue, Hints: r.queue,
		Bucket: worker.BucketOf[worker.Source, worker.Sink](r.bucket)}); err == nil {
		t.Error("a worker with a bad configuration")
	}
}
