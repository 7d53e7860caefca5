package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/gridimport"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
	"github.com/mp3lathe/mp3lathe/job"
)

// oldService makes what the Python project has kept: so many MP3s and one video.
func oldService(t *testing.T, mp3s int) *testserver.OldLayout {
	t.Helper()
	server, err := testserver.MongoDB(t.Context(), os.Getenv("MP3LATHE_TEST_MONGODB"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	o, err := server.NewOldLayout()
	if err != nil {
		t.Fatal(err)
	}
	for i := range mp3s {
		if _, err := o.Put(t.Context(), o.MP3s, bytes.Repeat([]byte{byte(i)}, 20_000+i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.Put(t.Context(), o.Videos, []byte("a video")); err != nil {
		t.Fatal(err)
	}
	return o
}

// jobsIn are the jobs in the folder of serve.
func jobsIn(t *testing.T, dir string) []job.Job {
	t.Helper()
	p := &app.Parts{}
	defer p.Close()
	d := dataFolder{dir: dir}
	if err := p.OpenDB(t.Context(), d.database()); err != nil {
		t.Fatal(err)
	}
	l, err := p.Jobs.List(t.Context(), job.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestImportGridFS: a process that is killed in the middle has made whole jobs; the same
// command goes on, and in the end each file is there once.
func TestImportGridFS(t *testing.T) {
	const mp3s = 60
	o, dir := oldService(t, mp3s), t.TempDir()
	before, err := o.Dump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"admin", "import-gridfs", "--from", o.URL, "--videos-db", o.Videos, "--mp3s-db", o.MP3s, "--owner", "ada", "--data", dir}
	inProcess(t, "", append(args, "--dry-run")...).want(t, exitDone)

	killed := command(t, args...)
	if err := killed.Start(); err != nil {
		t.Fatal(err)
	}
	eventuallyImported := time.Now().Add(time.Minute)
	for {
		done, err := filepath.Glob(filepath.Join(dir, "bucket", "out", "*", "*.mp3"))
		if err != nil {
			t.Fatal(err)
		}
		if len(done) >= 5 {
			break
		}
		if time.Now().After(eventuallyImported) {
			t.Fatal("nothing is imported")
		}
	}
	_ = killed.Process.Kill()
	_ = killed.Wait()
	first := jobsIn(t, dir)
	if len(first) == 0 || len(first) == mp3s {
		t.Logf("%d of %d jobs were made before the kill", len(first), mp3s)
	}

	second := inProcess(t, "", args...)
	second.want(t, exitDone)
	left := "MP3s    60 found: " + strconv.Itoa(mp3s-len(first)) + " imported ("
	if !strings.HasPrefix(second.stdout, left) || !strings.Contains(second.stdout, strconv.Itoa(len(first))+" there already, 0 left, 0 of nobody, 0 failed\nvideos  1 found: 0 imported (0 B), 0 there already, 1 left, 0 of nobody, 0 failed\n") {
		t.Errorf("it said\n%sand %d were there", second.stdout, len(first))
	}
	sizes := map[int64]int{}
	for _, j := range jobsIn(t, dir) {
		info, err := os.Stat(filepath.Join(dir, "bucket", j.Result.Key))
		if err != nil || info.Size() != j.Result.Bytes {
			t.Fatal(err)
		}
		sizes[info.Size()]++
	}
	for i := range mp3s {
		if sizes[int64(20_000+i)] != 1 {
			t.Errorf("MP3 %d is there %d times", i, sizes[int64(20_000+i)])
		}
	}
	after, err := o.Dump(t.Context())
	if err != nil || after != before {
		t.Errorf("the old databases have changed, %v", err)
	}
}

// TestImportGridFSErrors: what is wrong is said before anything is begun, without
// passwords.
func TestImportGridFSErrors(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, exitUsage, "--from (MP3LATHE_FROM) is not set, nor is --from-file"},
		{[]string{"--from=mongodb://h"}, exitUsage, "--owner (MP3LATHE_OWNER) is not set, nor is --owners"},
		{[]string{"--from=mongodb://h", "--owner=ada", "--messages=" + bad}, exitUsage, "--messages (MP3LATHE_MESSAGES) is wrong: line 1 is no message"},
		{[]string{"--from=mongodb://h", "--owners=" + bad}, exitUsage, "--owners (MP3LATHE_OWNERS) is wrong: line 1 is not"},
		{[]string{"--from=mongodb://h", "--owner=ada", "--database=mongodb://u:geheim@h/x"}, exitUsage, "--bucket (MP3LATHE_BUCKET) is not set"},
		{[]string{"--from=mongodb://u:geheim@127.0.0.1:1/?serverSelectionTimeoutMS=200", "--owner=ada"}, exitFailed, "the old databases cannot be used: open mongodb://u@127.0.0.1:1/"},
		{[]string{"--from=mongodb://u:ge:heim@h", "--owner=ada"}, exitFailed, "percent-encoded"},
	} {
		got := inProcess(t, "", append([]string{"admin", "import-gridfs", "--data", dir}, c.args...)...)
		got.want(t, c.code, c.want)
		if strings.Contains(got.stderr, "heim") || got.stdout != "" {
			t.Errorf("%q: %s%s", c.args, got.stdout, got.stderr)
		}
	}
}

// TestImportLine: the bar fits, and tells what is left.
func TestImportLine(t *testing.T) {
	p := gridimport.Progress{Files: 3, OfFiles: 10, Bytes: 5 << 20, OfBytes: 10 << 20}
	if got := importLine(100, p, 10*time.Second); !strings.HasPrefix(got, "[====") || !strings.Contains(got, "3 of 10 files, 5.0 MiB of 10.0 MiB  ETA 0:10") {
		t.Error(got)
	}
	for width := range 120 {
		if got := importLine(width, p, time.Minute); len(got) > max(width-1, 0)+3 { // an ellipsis has three bytes
			t.Errorf("%d columns: %q", width, got)
		}
	}
}
