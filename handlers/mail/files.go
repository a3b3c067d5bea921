package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/rollcall-mdm/rollcall/domain/enrollment"
	"github.com/rollcall-mdm/rollcall/handlers"
)

// Files is a post that writes letters to files (.eml, mode 0600), for somebody to send. It fulfils handlers.Post.
type Files struct {
	Dir  string // made when it is wanted
	From string
	Now  func() time.Time
}

// Send writes a letter. When it returns, the file is on disk and whole.
func (f *Files) Send(_ context.Context, l handlers.Letter) (handlers.Posted, error) {
	m, id, err := write(l, f.From, f.Now())
	if err != nil {
		return handlers.Posted{}, err
	}
	var whole bytes.Buffer
	if _, err := m.WriteTo(&whole); err != nil {
		return handlers.Posted{}, fmt.Errorf("write a letter: %w", err)
	}
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return handlers.Posted{}, fmt.Errorf("make the directory of letters: %w", err)
	}
	short, _, _ := bytes.Cut([]byte(id), []byte("@"))
	file := filepath.Join(f.Dir, f.Now().UTC().Format("20060102-150405-")+string(short)+".eml")
	return handlers.Posted{By: enrollment.ByFile, ID: id, File: file}, keep(file, whole.Bytes())
}

// keep writes a file as a whole.
func keep(file string, text []byte) (err error) {
	part := file + ".part"
	out, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write a letter: %w", err)
	}
	_, err = out.Write(text)
	err = errors.Join(err, out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(part, file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write a letter: %w", err), os.Remove(part))
	}
	return nil
}
