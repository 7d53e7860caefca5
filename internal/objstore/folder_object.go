package objstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
)

// file is an object in a folder being made: a file in the folder of unfinished ones.
type file struct {
	*folder
	key, temp string
	f         *os.File
}

func (f *folder) create(_ context.Context, key string, _ int64) (output, error) {
	temp := path.Join(tempDir, rand.Text())
	created, err := f.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return nil, err
	}
	return &file{f, key, temp, created}, nil
}

func (f *file) writeAt(_ context.Context, p []byte, at int64) (int, error) { return f.f.WriteAt(p, at) }

func (f *file) holds(int64) bool { return true }

func (f *file) abort() {
	_ = f.f.Close()
	_ = f.root.Remove(f.temp)
}

func (f *file) commit(context.Context) error {
	err := f.f.Sync()
	if err = errors.Join(err, f.f.Close()); err == nil {
		err = f.rename()
	}
	if err != nil {
		_ = f.root.Remove(f.temp)
	}
	return err
}

// rename gives the file its name, durably.
func (f *file) rename() error {
	dir := path.Dir(f.key)
	err := f.root.Rename(f.temp, f.key)
	// The folder is made when it is missing. A Delete that finds it empty may remove it in
	// between, or while it is made, so this may take more than one turn.
	top, _, _ := strings.Cut(dir, "/")
	for try := 0; errors.Is(err, fs.ErrNotExist) && try < 100; try++ {
		if f.root.Mkdir(top, 0o750) == nil {
			f.tops.Delete(top)
		}
		if err = f.root.MkdirAll(dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		err = f.root.Rename(f.temp, f.key)
	}
	if err != nil {
		return err
	}
	for ; ; dir = path.Dir(dir) {
		if err := f.syncDir(dir); err != nil {
			_ = f.root.Remove(f.key)
			return err
		}
		if dir == "." {
			f.tops.Store(top, true)
			return nil
		}
		if _, durable := f.tops.Load(top); durable && dir == top {
			return nil
		}
	}
}

// syncDir makes the names in a folder durable.
func (f *folder) syncDir(dir string) error {
	d, err := f.root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // the file has been deleted again, and the folder with it
	}
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// openFile is an object in a folder being read.
type openFile struct {
	f     *os.File
	bytes int64
	read  int64
}

func (f *folder) open(_ context.Context, key string) (input, error) {
	// What stands there might be a pipe, and opening it would wait.
	info, err := f.root.Lstat(key)
	if missing(err) || err == nil && !info.Mode().IsRegular() {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	opened, err := f.root.Open(key)
	if missing(err) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	info, err = opened.Stat()
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	return &openFile{f: opened, bytes: info.Size()}, nil
}

func (o *openFile) readAt(_ context.Context, p []byte, at int64) (int, error) {
	n, err := o.f.ReadAt(p, at)
	o.read += int64(n)
	if err == io.EOF {
		err = fmt.Errorf("the file became shorter: %w", io.ErrUnexpectedEOF)
	}
	return n, err
}

func (o *openFile) size() int64    { return o.bytes }
func (o *openFile) fetched() int64 { return o.read }
func (o *openFile) close() error   { return o.f.Close() }
