package objstore_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// What only a folder has.

// Open removes what processes that died have left, and nothing of those that are at work.
func TestFolderOpen(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "bucket")
	b := open(t, "file://"+dir)
	var writers []string
	for range 2 {
		w, err := b.Create(t.Context(), "in/1")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		writers = names(t, filepath.Join(dir, ".tmp"))
	}
	old := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, ".tmp", writers[0]), old, old); err != nil {
		t.Fatal(err)
	}
	open(t, "file://"+dir)
	if got := names(t, filepath.Join(dir, ".tmp")); !slices.Equal(got, writers[1:]) {
		t.Errorf("unfinished files: %v, and there were %v", got, writers)
	}
}

// Nothing is left but the files themselves and the folders of the first level: no attributes
// beside them, no empty folders.
func TestFolderFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, "file://"+dir)
	put(t, b, "out/1/1.mp3", []byte("one"))
	put(t, b, "out/1/2.mp3", []byte("two"))
	if got := names(t, filepath.Join(dir, "out/1")); !slices.Equal(got, []string{"1.mp3", "2.mp3"}) {
		t.Errorf("files: %v", got)
	}
	if err := b.DeletePrefix(t.Context(), "out/1/"); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); !slices.Equal(got, []string{".tmp", "out"}) {
		t.Errorf("left: %v", got)
	}
	if got := names(t, filepath.Join(dir, "out")); len(got) > 0 {
		t.Errorf("left in out: %v", got)
	}
	// The folder is made again if somebody has tidied up.
	if err := os.Remove(filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	put(t, b, "out/1/1.mp3", []byte("one"))
	if err := b.Delete(t.Context(), "out/1/1.mp3"); err != nil {
		t.Fatal(err)
	}
	if got := names(t, filepath.Join(dir, ".tmp")); len(got) > 0 {
		t.Errorf("unfinished files: %v", got)
	}
}

// What others have put into the folder is neither listed nor followed.
func TestFolderForeign(t *testing.T) {
	t.Parallel()
	dir, outside := t.TempDir(), t.TempDir()
	b := open(t, "file://"+dir)
	secret := filepath.Join(outside, "secret")
	for _, err := range []error{
		os.WriteFile(secret, []byte("secret"), 0o600),
		os.WriteFile(filepath.Join(dir, "README"), nil, 0o600),
		os.Mkdir(filepath.Join(dir, "Folder"), 0o700),
		os.WriteFile(filepath.Join(dir, "Folder", "a"), nil, 0o600),
		os.Symlink(secret, filepath.Join(dir, "link")),
		os.Symlink(outside, filepath.Join(dir, "links")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := keys(t, b, ""); len(got) > 0 {
		t.Errorf("listed: %v", got)
	}
	for _, key := range []string{"link", "links/secret"} {
		if _, err := b.NewReader(t.Context(), key); err == nil {
			t.Errorf("%s can be read", key)
		}
		_ = b.Delete(t.Context(), key)
	}
	w, err := b.Create(t.Context(), "links/new")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err == nil {
		t.Error("a file outside is written")
	}
	if got := names(t, outside); !slices.Equal(got, []string{"secret"}) {
		t.Errorf("outside: %v", got)
	}
	wantNothing(t, b)
}

// A file that somebody cuts while it is read has not come to its end.
func TestFolderTruncated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := open(t, "file://"+dir)
	put(t, b, "in/1", make([]byte, 1000))
	r := reader(t, b)
	if err := os.Truncate(filepath.Join(dir, "in/1"), 500); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); len(got) != 500 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}
