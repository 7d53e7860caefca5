package objstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// folder is a bucket in a folder: a key is the path of a file. Everything goes through an
// [os.Root], so that no symbolic link leads out of it.
//
// gocloud's fileblob is not used. Its lists are out of order, and pages of them miss keys,
// where a file's name continues that of a folder ("a/1", "a/2", "a-b"); it reads all of the
// tree for each page, and takes what it can't read for empty.
type folder struct {
	dir  string
	root *os.Root
	// tops holds the folders of the first level, such as "in", that are known to be
	// durable. They stay, so that not each commit has to see to them.
	tops sync.Map
}

// tempDir holds the files that are not finished. No key begins with a dot.
const tempDir = ".tmp"

// folderPath is the path in a URL.
func folderPath(u *url.URL) (string, error) {
	switch {
	case u.Host != "" && u.Host != "localhost":
		return "", fmt.Errorf("a folder has no host such as %q; write file:///path", u.Host)
	case u.Opaque != "" || !filepath.IsAbs(u.Path):
		return "", errors.New("a folder's path must be absolute; write file:///path")
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return "", errors.New("a folder has no parameters")
	}
	return filepath.Clean(u.Path), nil
}

func openFolder(ctx context.Context, u *url.URL) (*folder, error) {
	dir, err := folderPath(u)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{dir: dir, root: root}
	if err := root.Mkdir(tempDir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, errors.Join(err, root.Close())
	}
	if _, err := f.sweep(ctx, staleTemp); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return f, nil
}

func (f *folder) close() error { return f.root.Close() }

// ping fails when the folder has been removed or replaced, as when a disk is unmounted.
func (f *folder) ping(context.Context) error {
	here, err := f.root.Stat(".")
	if err != nil {
		return err
	}
	there, err := os.Stat(f.dir)
	if err != nil {
		return err
	}
	if !os.SameFile(here, there) {
		return fmt.Errorf("%s is not the folder any more that was opened", f.dir)
	}
	_, err = f.root.Stat(tempDir)
	return err
}

// missing tells that there is no file: also where a key leads through a file.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func (f *folder) exists(_ context.Context, key string) (bool, error) {
	info, err := f.root.Lstat(key)
	if missing(err) {
		return false, nil
	}
	return err == nil && info.Mode().IsRegular(), err
}

func (f *folder) remove(ctx context.Context, key string) error {
	// A folder would go too, if it is empty.
	if ok, err := f.exists(ctx, key); !ok {
		return err
	}
	if err := f.root.Remove(key); err != nil && !missing(err) {
		return err
	}
	// Below the first level, folders exist only for what is in them. One that is not
	// empty ends this.
	for dir := path.Dir(key); path.Dir(dir) != "."; dir = path.Dir(dir) {
		if f.root.Remove(dir) != nil {
			break
		}
	}
	return nil
}

func (f *folder) list(ctx context.Context, prefix, after string, limit int) ([]Object, error) {
	l := lister{f, ctx, prefix, after, limit, nil}
	err := l.walk("")
	return l.out, err
}

// lister walks a tree in the order of keys.
type lister struct {
	*folder
	ctx           context.Context
	prefix, after string
	limit         int
	out           []Object
}

// walk lists a folder, whose name is empty or ends with a slash.
func (l *lister) walk(dir string) error {
	if err := l.ctx.Err(); err != nil {
		return err
	}
	entries, err := l.readDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if len(l.out) == l.limit {
			return nil
		}
		key := dir + e.name
		switch {
		case e.isDir:
			// Some key in it must fit, and some come after.
			if (strings.HasPrefix(key, l.prefix) || strings.HasPrefix(l.prefix, key)) &&
				(key > l.after || strings.HasPrefix(l.after, key)) {
				if err := l.walk(key); err != nil {
					return err
				}
			}
		case strings.HasPrefix(key, l.prefix) && key > l.after && validKey(key):
			info, err := l.root.Lstat(key)
			if missing(err) {
				continue // gone meanwhile
			}
			if err != nil {
				return err
			}
			l.out = append(l.out, Object{key, info.Size(), info.ModTime()})
		}
	}
	return nil
}

// entry is a file, or a folder, whose name ends with a slash then: sorted so, a tree's
// files come in the order of their keys.
type entry struct {
	name  string
	isDir bool
}

func (l *lister) readDir(dir string) ([]entry, error) {
	d, err := l.root.Open(path.Clean("./" + dir))
	if missing(err) {
		return nil, nil // gone meanwhile
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	found, err := d.ReadDir(-1)
	if err != nil {
		return nil, err
	}
	entries := make([]entry, 0, len(found))
	for _, e := range found {
		switch {
		case e.IsDir() && validKey(dir+e.Name()): // the folder of unfinished files is not
			entries = append(entries, entry{e.Name() + "/", true})
		case e.Type().IsRegular():
			entries = append(entries, entry{e.Name(), false})
		}
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return entries, nil
}

func (f *folder) sweep(ctx context.Context, olderThan time.Duration) (int, error) {
	d, err := f.root.Open(tempDir)
	if err != nil {
		return 0, err
	}
	defer d.Close()
	entries, err := d.ReadDir(-1)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || time.Since(info.ModTime()) < olderThan {
			continue // one that is gone meanwhile has been finished
		}
		if err := f.root.Remove(path.Join(tempDir, e.Name())); err == nil {
			n++
		} else if !missing(err) {
			return n, err
		}
	}
	return n, nil
}
