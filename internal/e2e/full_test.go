package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/client"
)

const (
	// mountEnv makes this program mount a small disk and become another program:
	// the disk's size in bytes, ":" and the folder.
	mountEnv    = "MP3LATHE_TEST_MOUNT"
	mountFailed = 99
)

func mountAndExec(spec string, argv []string) error {
	size, dir, _ := strings.Cut(spec, ":")
	if err := syscall.Mount("disk", dir, "tmpfs", 0, "size="+size); err != nil {
		return err
	}
	return syscall.Exec(argv[0], argv, os.Environ())
}

// runOnDisk is run with a disk of a size, in bytes, that only the program has, in a folder.
// The answer's path is where the disk can be seen. ok is false where nobody may mount.
func runOnDisk(t *testing.T, size int, dir, program string, args ...string) (s *service, path string, ok bool) {
	t.Helper()
	paths, err := programs()
	must(t, err)
	self, err := os.Executable()
	must(t, err)
	cmd := exec.Command(self, append([]string{paths[program]}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if uid := os.Getuid(); uid != 0 { // who is not root may be it in a world of his own
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
	}
	probe := *cmd // without a program behind it, to see whether it can be
	probe.Args = []string{self, "/bin/true"}
	probe.Env = []string{fmt.Sprintf("%s=%d:%s", mountEnv, size, dir)}
	if out, err := probe.CombinedOutput(); err != nil {
		t.Logf("no disk can be mounted here: %v %s", err, out)
		return nil, "", false
	}
	s = start(t, program, cmd, probe.Env)
	return s, fmt.Sprintf("/proc/%d/root%s", cmd.Process.Pid, dir), true
}

// TestFullDisk: the whole system on a disk that has no room: who uploads is told so, a job
// whose MP3 does not fit fails with a reason, nothing is left behind, and all goes on when
// there is room again.
//
// Where nobody may mount, what is here is tested in parts: TestUploadParts of the gateway,
// TestBucketFaults of the worker, TestFull of sqldb, which need no disk.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	p, disk, ok := runOnDisk(t, 16<<20, dir, "mp3lathe", "serve", "--data", dir, "--listen", "127.0.0.1:0",
		"--max-tries", "1", "--sweep-interval", "1s", "--log-level", "debug")
	if !ok {
		t.Skip("the parts of this are tested without a disk")
	}
	s := &system{services: []*service{p}}
	eventually(t, time.Minute, "it says where it listens", func() bool {
		b, err := os.ReadFile(filepath.Join(disk, "address"))
		s.url = strings.TrimSpace(string(b))
		select {
		case <-p.done:
			t.Fatalf("it ended\n%s", p.tail())
		default:
		}
		return err == nil && s.url != ""
	})
	c := s.user(t, "anna@example.org")
	video, err := os.ReadFile(filepath.Join("..", "..", "testdata", "melody.mp4"))
	must(t, err)
	loud := map[string][]string{"bitrate": {"320"}, "fresh": {"true"}}
	wantFull := func(err error) {
		t.Helper()
		if problem := (*client.Error)(nil); !errors.As(err, &problem) || problem.Status != 507 || problem.Code != "storage_full" {
			t.Errorf("on a full disk: %v", err)
		}
	}
	convert := func() client.Job {
		t.Helper()
		j, err := c.Upload(t.Context(), "melody.mp4", newReader(video), loud)
		must(t, err)
		j, err = c.Follow(within(t, time.Minute), j.ID, nil)
		must(t, err)
		return j
	}
	first := convert()
	if first.State != "succeeded" {
		t.Fatalf("%+v", first)
	}

	// Files that do not fit, in both forms.
	large := append(bytes.Clone(video), make([]byte, 20<<20)...)
	_, err = c.Upload(t.Context(), "large.mp4", newReader(large), nil)
	wantFull(err)
	_, err = c.UploadForm(t.Context(), "large.mp4", newReader(large), nil)
	wantFull(err)
	eventually(t, 10*time.Second, "nothing is left of them", func() bool {
		return len(files(t, disk, "bucket/.tmp")) == 0 && len(files(t, disk, "bucket/in")) == 0
	})

	// An MP3 that does not fit.
	fill(t, disk, len(video)+int(first.Result.Bytes)/2)
	second := convert()
	if second.State != "failed" || second.Failure.Code != "storage_full" {
		t.Errorf("an MP3 that does not fit: %+v, %+v", second, second.Failure)
	}
	if left := files(t, disk, "bucket/out/"+second.ID); len(left) != 0 {
		t.Errorf("left of it: %v", left)
	}

	// Nothing fits any more.
	fill(t, disk, 0)
	_, err = c.Upload(t.Context(), "melody.mp4", newReader(video), nil)
	wantFull(err)
	// A login begins a session, which is a row.
	wantFull((&client.Client{Base: s.url}).Login(t.Context(), "anna@example.org", password))
	if b, err := readAll(c.Audio(t.Context(), first.ID)); err != nil || int64(len(b)) != first.Result.Bytes {
		t.Errorf("a download on a full disk: %d bytes, %v", len(b), err)
	}

	must(t, os.RemoveAll(filepath.Join(disk, "filler")))
	j, err := c.Retry(t.Context(), second.ID)
	must(t, err)
	if j, err = c.Follow(within(t, time.Minute), j.ID, nil); err != nil || j.State != "succeeded" {
		t.Errorf("with room again: %+v, %v", j, err)
	}
	if j := convert(); j.State != "succeeded" {
		t.Errorf("with room again: %+v", j)
	}
	eventually(t, 10*time.Second, "nothing is left but MP3s", func() bool {
		return len(files(t, disk, "bucket/.tmp")) == 0 && len(files(t, disk, "bucket/in")) == 0 && len(files(t, disk, "bucket/out")) == 3
	})
	p.stop(t)
}

// fill leaves so many bytes of a disk free.
func fill(t *testing.T, disk string, free int) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(disk, "filler"), 0o700))
	block := make([]byte, 4<<10)
	for i := 0; ; i++ {
		var stat syscall.Statfs_t
		must(t, syscall.Statfs(disk, &stat))
		left := int(stat.Bavail)*int(stat.Bsize) - free
		if left < len(block) {
			return
		}
		f, err := os.OpenFile(filepath.Join(disk, "filler", fmt.Sprint(free, "-", i)), os.O_CREATE|os.O_WRONLY, 0o600)
		if errors.Is(err, syscall.ENOSPC) {
			return
		}
		must(t, err)
		for ; left >= len(block) && err == nil; left -= len(block) {
			_, err = f.Write(block)
		}
		must(t, f.Close())
	}
}

// files are those in a folder of a disk, which need not be there.
func files(t *testing.T, disk, folder string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join(disk, folder), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	must(t, err)
	return found
}
