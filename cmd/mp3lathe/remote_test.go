package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mp3lathe/mp3lathe/job"
)

// TestRemote: a service makes of files what this machine does, says of those that it
// refuses what this machine says, and keeps nothing.
func TestRemote(t *testing.T) {
	home(t)
	s := serve(t, t.TempDir(), "--parallelism", "2")
	c := s.user(t)
	inProcess(t, "", "convert", "--server", s.url, fixture("melody.mp4"), filepath.Join(t.TempDir(), "x.mp3")).want(t, exitFailed, "nobody is logged in")
	inProcess(t, "a long pass phrase\n", "login", s.url, "--email", "ada@example.org").want(t, exitDone)

	dir := t.TempDir()
	flags := []string{"--bitrate", "192", "--start", "0.5", "--duration", "1.25", "--title", "A title", "--tag", "genre=Jazz", "--channels", "mono"}
	here, there := filepath.Join(dir, "here.mp3"), filepath.Join(dir, "there.mp3")
	inProcess(t, "", append([]string{"convert", "--parallelism", "2", fixture("melody.mp4"), here}, flags...)...).want(t, exitDone)
	got := inProcess(t, "", append([]string{"convert", "--json", "--server", s.url, fixture("melody.mp4"), there}, flags...)...)
	got.want(t, exitDone)
	if !bytes.Equal(read(t, here), read(t, there)) {
		t.Error("the MP3s differ")
	}
	var record map[string]any
	if err := json.Unmarshal([]byte(got.stdout), &record); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"status": "done", "encoding": "CBR 192", "channels": 1.0, "duration_seconds": 1.25, "codec": "aac"} {
		if record[name] != want {
			t.Errorf("%s is %v, want %v", name, record[name], want)
		}
	}

	// A whole folder, with one that is refused at the door and one that fails.
	in := filepath.Join(dir, "in")
	write(t, filepath.Join(in, "good.mp4"), read(t, fixture("melody.mp4")))
	write(t, filepath.Join(in, "text.mp4"), []byte("this is no MP4 file"))
	write(t, filepath.Join(in, "cut.mp4"), read(t, fixture("melody.mp4"))[:5000])
	got = inProcess(t, "", "convert", "-r", "--server", s.url, in, filepath.Join(dir, "out"))
	if got.code != exitFailed || !strings.Contains(got.stderr, "2 of 3 inputs failed") || !strings.Contains(got.stderr, "text.mp4: ") || !strings.Contains(got.stderr, "cut.mp4: ") {
		t.Errorf("exit code %d\n%s%s", got.code, got.stdout, got.stderr)
	}
	if files, err := filepath.Glob(filepath.Join(dir, "out", "*")); err != nil || len(files) != 1 || filepath.Base(files[0]) != "good.mp3" {
		t.Errorf("it made %v, %v", files, err)
	}
	for _, folder := range []string{"in", "out"} {
		if left, _ := filepath.Glob(filepath.Join(s.dir, "bucket", folder, "*", "*")); len(left) > 0 {
			t.Errorf("the service keeps %v", left)
		}
	}

	// With an API key, and through pipes.
	if err := forgetLogin(); err != nil {
		t.Fatal(err)
	}
	made, err := c.CreateKey(t.Context(), "x", []string{"jobs:read", "jobs:write"}, 1, "a long pass phrase")
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "key")
	write(t, key, []byte(made.Secret+"\n"))
	piped := inProcess(t, string(read(t, fixture("melody.mp4"))), "convert", "--server", s.url, "--api-key-file", key, "--bitrate", "64", "-", "-")
	if piped.code != exitDone || len(piped.stdout) < 1000 || !strings.HasPrefix(piped.stdout, "ID3") {
		t.Errorf("exit code %d, %d bytes\n%s", piped.code, len(piped.stdout), piped.stderr)
	}
	write(t, key, []byte("mp3k_WRONG_WRONG"))
	inProcess(t, "", "convert", "--server", s.url, "--api-key-file", key, fixture("melody.mp4"), filepath.Join(dir, "y.mp3")).
		want(t, exitFailed, "The API key is not valid")

	for _, c := range []struct{ args, want string }{
		{"--server http://mp3.example.org", "unencrypted"}, {"--server x", "is no address of a service"}, {"--api-key-file x", "is for --server"},
		{"--server " + s.url + " --cover " + key, "cannot be sent to a service"}, {"--server " + s.url + " --parallelism 2", "is for this machine"},
		{"--server " + s.url + " --api-key-file /nowhere", "the API key cannot be read"},
	} {
		inProcess(t, "", append([]string{"convert", fixture("melody.mp4"), filepath.Join(dir, "z.mp3")}, strings.Fields(c.args)...)...).want(t, exitUsage, c.want)
	}
	if _, err := os.Stat(filepath.Join(dir, "z.mp3")); err == nil {
		t.Error("a file was made")
	}
}

// TestRemoteInterrupted: a job that is waited for is canceled and removed when the
// command is interrupted, and nothing is left here.
func TestRemoteInterrupted(t *testing.T) {
	home(t)
	const id = "01a210f5-3f46-7795-ac35-d29c5e25a1ff"
	removed := make(chan string, 4)
	ctx, interrupt := context.WithCancel(t.Context())
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, `{"id":"`+id+`","state":"queued"}`)
		case r.Method == http.MethodDelete:
			removed <- r.URL.Path
			_, _ = io.WriteString(w, "{}")
		default: // the events, which say nothing
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			interrupt()
			<-r.Context().Done()
		}
	}))
	defer service.Close()
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	write(t, key, []byte("mp3k_A_B"))
	var out, errs bytes.Buffer
	code := run(ctx, []string{"convert", "--server", service.URL, "--api-key-file", key, fixture("melody.mp4"), filepath.Join(dir, "x.mp3")}, strings.NewReader(""), &out, &errs)
	if code != exitInterrupted || !strings.Contains(errs.String(), "interrupted; nothing was written") {
		t.Errorf("exit code %d\n%s%s", code, &out, &errs)
	}
	for range 2 { // canceled, and removed
		if path := <-removed; path != "/v1/jobs/"+id {
			t.Errorf("removed %s", path)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.mp3")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// TestSettingValues: what a service is told are the settings of the command line.
func TestSettingValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := func(name string) time.Duration {
			return time.Duration(rapid.IntRange(0, 100_000).Draw(t, name)) * time.Millisecond
		}
		want := job.Settings{
			Rate: rapid.SampledFrom([]int{0, 44100, 8000}).Draw(t, "rate"), Channels: rapid.IntRange(0, 2).Draw(t, "channels"),
			Track: rapid.IntRange(0, 3).Draw(t, "track"), Lang: rapid.SampledFrom([]string{"", "eng", "de"}).Draw(t, "lang"),
			Start: length("start"), End: length("end"), Duration: length("duration"), MaxDuration: length("most"),
			AllowPartial: rapid.Bool().Draw(t, "partial"), NoTags: rapid.Bool().Draw(t, "no tags"), NoCover: rapid.Bool().Draw(t, "no cover"), ID3v24: rapid.Bool().Draw(t, "id3v24"),
		}
		if rapid.Bool().Draw(t, "no most") {
			want.MaxDuration = -1
		}
		switch rapid.IntRange(0, 3).Draw(t, "mode") {
		case 0:
			want.Bitrate = 192
		case 1:
			vbr := rapid.IntRange(0, 9).Draw(t, "vbr")
			want.VBR = &vbr
		case 2:
			want.ABR = 150
		}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(job.TagNames()), 0, 3, rapid.ID).Draw(t, "tags") {
			if want.Tags == nil {
				want.Tags = map[string]string{}
			}
			want.Tags[name] = rapid.StringN(1, 20, -1).Filter(func(s string) bool { return !strings.ContainsRune(s, 0xFFFD) }).Draw(t, name)
		}
		var got job.Settings
		for name, values := range settingValues(want) {
			for _, v := range values {
				if err := got.Set(name, v); err != nil {
					t.Fatalf("%s=%q: %v", name, v, err)
				}
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
	})
}
