package transcode

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ConvertFile converts the file src into the file dst, as [Convert] does. dst is
// complete or is not there: the MP3 grows under another name beside it, and takes
// its name, and the place of an older file, when it is whole. Errors of the file
// system are found by errors.Is and errors.As as package os gives them.
//
// A dst that is there and is not a regular file (a device, a named pipe) is
// written to directly.
func ConvertFile(ctx context.Context, dst, src string, opts *Options) (*Result, error) {
	in, err := os.Open(src)
	if err != nil {
		return nil, fail("open", err)
	}
	defer in.Close()
	if info, err := in.Stat(); err != nil {
		return nil, fail("open", err)
	} else if info.IsDir() {
		return nil, &Error{Op: "open", Err: fmt.Errorf("%s is a folder", src)}
	}
	if target, err := filepath.EvalSymlinks(dst); err == nil {
		dst = target // replace what a link points to, not the link
	}
	switch old, err := os.Stat(dst); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fail("write", err)
	case old.IsDir():
		return nil, &Error{Op: "write", Err: fmt.Errorf("%s is a folder", dst)}
	case !old.Mode().IsRegular():
		out, err := os.OpenFile(dst, os.O_WRONLY, 0)
		if err != nil {
			return nil, fail("write", err)
		}
		defer out.Close()
		return Convert(ctx, out, in, opts)
	default:
		if info, err := in.Stat(); err == nil && os.SameFile(info, old) {
			return nil, &Error{Op: "options", Err: ErrOptions, Detail: fmt.Sprintf("%s would replace its own source", dst)}
		}
	}
	return replaceFile(dst, func(out *os.File) (*Result, error) { return Convert(ctx, out, in, opts) })
}

// replaceFile lets write fill a new file and puts it in dst's place if that went
// well.
func replaceFile(dst string, write func(*os.File) (*Result, error)) (result *Result, err error) {
	name := filepath.Join(filepath.Dir(dst), "."+filepath.Base(dst)+"."+rand.Text()[:8]+".part")
	out, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, fail("write", err)
	}
	defer func() {
		if err != nil {
			out.Close()
			os.Remove(name)
		}
	}()
	if result, err = write(out); err != nil {
		return nil, err
	}
	if err = out.Close(); err != nil {
		return nil, fail("write", err)
	}
	if err = os.Rename(name, dst); err != nil {
		return nil, fail("write", err)
	}
	return result, nil
}
