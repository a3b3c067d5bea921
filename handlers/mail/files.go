package mail

import (
	"bytes"
	"context"
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
	Keep func(file string, text []byte) error // writes a file that only its owner may read; when it returns, the file is on disk and whole
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
	return handlers.Posted{By: enrollment.ByFile, ID: id, File: file}, f.Keep(file, whole.Bytes())
}
