package ledger

import (
	"archive/zip"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Sink takes the files of a bundle, one after the other: each is closed before the next one is created.
type Sink interface {
	Create(name string) (io.WriteCloser, error)
}

// NewDir returns a sink that is a directory, which must be empty or missing.
func NewDir(dir string) (Sink, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the bundle's directory: %w", err)
	}
	if there, err := os.ReadDir(dir); err != nil || len(there) > 0 {
		return nil, errors.Join(fmt.Errorf("%s is not empty: a bundle wants a directory of its own", dir), err)
	}
	return directory(dir), nil
}

type directory string

func (d directory) Create(name string) (io.WriteCloser, error) {
	path := filepath.Join(string(d), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// A Zip is a sink that writes a ZIP file as it goes, so that a bundle can be sent while it is made. One that is cut
// off has no directory at its end, and nothing unpacks it.
type Zip struct{ out *zip.Writer }

// NewZip returns a sink that writes to w. Close ends the file.
func NewZip(w io.Writer) *Zip { return &Zip{zip.NewWriter(w)} }

// Create begins the next file.
func (z *Zip) Create(name string) (io.WriteCloser, error) {
	w, err := z.out.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
	return zipped{w}, err
}

// Close writes the end.
func (z *Zip) Close() error { return z.out.Close() }

type zipped struct{ io.Writer }

func (zipped) Close() error { return nil }

// Unzip unpacks a bundle into a sink. Names that lead out of it are refused.
func Unzip(from io.ReaderAt, size int64, to Sink) error {
	in, err := zip.NewReader(from, size)
	if err != nil {
		return fmt.Errorf("the bundle is broken off or no ZIP file: %w", err)
	}
	for _, f := range in.File {
		if !fs.ValidPath(f.Name) || strings.ContainsAny(f.Name, `\:`) {
			return fmt.Errorf("the bundle has a file with the name %q", shorten(f.Name))
		}
		if err := unzip(f, to); err != nil {
			return fmt.Errorf("unpack %s: %w", f.Name, err)
		}
	}
	return nil
}

func unzip(f *zip.File, to Sink) error {
	in, err := f.Open()
	if err != nil {
		return err
	}
	out, err := to.Create(f.Name)
	if err != nil {
		return errors.Join(err, in.Close())
	}
	_, err = io.Copy(out, in) //nolint:gosec // a bundle is as long as its log; the disk is the bound
	return errors.Join(err, in.Close(), out.Close())
}

// A bundle is one in the making. It knows the sums of all its files.
type bundle struct {
	to   Sink
	sums map[string]string
}

func (b *bundle) put(name string, text []byte) error {
	f, err := b.create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// A summed file is known by its sum when it is closed.
type summed struct {
	*bufio.Writer
	file io.Closer
	sum  hash.Hash
	done func(sum string)
}

func (b *bundle) create(name string) (*summed, error) {
	f, err := b.to.Create(name)
	if err != nil {
		return nil, err
	}
	s := &summed{file: f, sum: sha256.New(), done: func(sum string) { b.sums[name] = sum }}
	s.Writer = bufio.NewWriter(io.MultiWriter(f, s.sum))
	return s, nil
}

func (s *summed) Close() error {
	err := errors.Join(s.Flush(), s.file.Close())
	s.done(hex.EncodeToString(s.sum.Sum(nil)))
	return err
}

// close writes the sums, in the form of sha256sum.
func (b *bundle) close() error {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(b.sums)) {
		fmt.Fprintf(&text, "%s  %s\n", b.sums[name], name)
	}
	return b.put(sumsFile, []byte(text.String()))
}
