package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"github.com/mp3lathe/mp3lathe/auth"
	"github.com/mp3lathe/mp3lathe/internal/app"
)

// dataFolder is where "serve" keeps everything. One process at a time has it.
type dataFolder struct {
	dir      string
	lock     *os.File
	secrets  *auth.Secrets
	linkKeys [][]byte
}

// openData makes the folder if need be, and the keys in it.
func openData(dir string) (_ *dataFolder, err error) {
	if dir == "" {
		if dir, err = defaultData(); err != nil {
			return nil, err
		}
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	// Accounts, keys and people's files lie in it.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	d := &dataFolder{dir: dir}
	if d.lock, err = os.OpenFile(d.path("lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(d.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		d.lock.Close()
		return nil, fmt.Errorf("another mp3lathe serves from %s; stop it, or choose another folder with --data", dir)
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	// One that was killed could not take its address back.
	if err := os.Remove(d.path("address")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.Mkdir(d.path("keys"), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	for _, name := range []string{"", "keys", "bucket", "mail"} {
		if err := writable(d.path(name)); err != nil {
			return nil, err
		}
	}
	text, err := keep(d.path("keys", "auth.txt"), func() ([]byte, error) { return []byte(auth.NewSecret() + "\n"), nil })
	if err != nil {
		return nil, err
	}
	if d.secrets, err = auth.ParseSecrets(string(text)); err != nil {
		return nil, app.Explain("the keys in "+d.path("keys", "auth.txt")+" cannot be used", err)
	}
	link, err := keep(d.path("keys", "link.txt"), func() ([]byte, error) { return []byte(rand.Text() + rand.Text() + "\n"), nil })
	if err != nil {
		return nil, err
	}
	if d.linkKeys, err = app.LinkKeys(string(link)); err != nil {
		return nil, app.Explain("the keys in "+d.path("keys", "link.txt")+" cannot be used", err)
	}
	return d, nil
}

// writable reports what is there and is no folder that this process can write to.
func writable(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.IsDir():
		err = syscall.ENOTDIR
	default:
		const write, search = 2, 1 // of access(2)
		err = syscall.Access(dir, write|search)
	}
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: "write to", Path: dir, Err: err}
}

func (d *dataFolder) path(elements ...string) string {
	return filepath.Join(append([]string{d.dir}, elements...)...)
}

// database is the URL of the database.
func (d *dataFolder) database() string { return "sqlite:" + d.path("mp3lathe.db") }

// bucket is the URL of the folder for objects.
func (d *dataFolder) bucket() string {
	u := url.URL{Scheme: "file", Path: d.path("bucket")}
	return u.String()
}

// announce writes the address, for scripts, where it stays until close.
func (d *dataFolder) announce(address string) error {
	return os.WriteFile(d.path("address"), []byte(address+"\n"), 0o600)
}

func (d *dataFolder) close() {
	os.Remove(d.path("address"))
	d.lock.Close()
}

// keep returns what a file holds, which is made if it is not there.
func keep(path string, generate func() ([]byte, error)) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	if b, err = generate(); err != nil {
		return nil, err
	}
	return b, create(path, b)
}

// create makes a file, whole or not at all, and for good: half a key would lock
// everybody out.
func create(path string, b []byte) (err error) {
	unfinished := path + ".part"
	f, err := os.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(unfinished)
		}
	}()
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(unfinished, path)
}
