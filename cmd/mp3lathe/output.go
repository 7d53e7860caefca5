package main

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// writeFile makes the file out, complete or not at all. It never replaces a file
// unless overwrite is set, not even one that appears while it works.
func writeFile(out string, makeDir, overwrite bool, write func(io.Writer) error) (err error) {
	dir := filepath.Dir(out)
	if makeDir {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	unfinished := filepath.Join(dir, ".mp3lathe-"+rand.Text()[:10]+".part")
	f, err := os.OpenFile(unfinished, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return withPath(err, unfinished, dir)
	}
	defer func() {
		f.Close()
		if err != nil {
			os.Remove(unfinished)
		}
	}()
	if err := write(f); err != nil {
		return withPath(err, unfinished, out)
	}
	if err := f.Close(); err != nil {
		return withPath(err, unfinished, out)
	}
	return publish(unfinished, out, overwrite)
}

// withPath makes an error speak of another file: the name of the unfinished one helps
// nobody.
func withPath(err error, from, to string) error {
	var perr *fs.PathError
	if errors.As(err, &perr) && perr.Path == from {
		perr.Path = to
	}
	return err
}

// publish gives a finished file its name.
func publish(unfinished, out string, overwrite bool) error {
	if overwrite {
		// What a link points to is what is replaced, not the link.
		if target, err := filepath.EvalSymlinks(out); err == nil {
			out = target
		}
		return os.Rename(unfinished, out)
	}
	// Linking fails where a file is, which renaming does not.
	err := os.Link(unfinished, out)
	if err == nil {
		return os.Remove(unfinished)
	}
	if _, serr := os.Lstat(out); errors.Is(err, fs.ErrExist) || serr == nil {
		return existsAlready(out)
	}
	// Some file systems have no links.
	return os.Rename(unfinished, out)
}

// writeStream writes to standard output. A file that it was redirected to, and
// that is written from its beginning, can be completed at its end as any file,
// and is emptied again on failure.
func writeStream(w io.Writer, write func(io.Writer) error) error {
	f, ok := w.(*os.File)
	if !ok || !rewritable(f) {
		return write(struct{ io.Writer }{w}) // hides Seek, which a pipe has but cannot do
	}
	err := write(f)
	if err != nil {
		if terr := f.Truncate(0); terr == nil {
			_, _ = f.Seek(0, io.SeekStart)
		}
	}
	return err
}

// rewritable reports whether f is an empty regular file whose beginning can be
// written again; with O_APPEND, the shell's >>, it cannot.
func rewritable(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() != 0 {
		return false
	}
	here, err := f.Seek(0, io.SeekCurrent)
	if err != nil || here != 0 {
		return false
	}
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFL, 0)
	return err == nil && flags&unix.O_APPEND == 0
}
