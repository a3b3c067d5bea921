package seal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
)

// MasterVariable holds the master key where it is in the environment and nobody gave it another name.
const MasterVariable = "ROLLCALL_MASTER_KEY"

// TokenVariable holds the token that is shown to a key management service at an address.
const TokenVariable = "ROLLCALL_MASTER_KEY_TOKEN"

// ErrNoMasterKey says that the file which should hold the master key is not there.
var ErrNoMasterKey = errors.New("there is no master key")

var kinds = []string{"file", "env", "exec", "https", "http"}

var errNoSource = errors.New("it is none of file:PATH, env:NAME, exec:PROGRAM and https://…")

// OpenSource opens the master key that a source names:
//
//	file:PATH        a file with 32 bytes in base64, mode 0600; made if missing and if it may be
//	env:NAME         an environment variable with the same, which is removed from the environment
//	exec:PROGRAM     a program that stands for a key management service
//	https://…        such a service itself
//
// A service that does not answer now is an error: nobody serves without knowing the master key.
func OpenSource(ctx context.Context, source string, mayMake bool) (MasterKey, error) {
	key, err := openSource(ctx, source, mayMake)
	if err != nil {
		return nil, fmt.Errorf("the master key from %s: %w", source, err)
	}
	return key, nil
}

func openSource(ctx context.Context, source string, mayMake bool) (MasterKey, error) {
	kind, rest, _ := strings.Cut(source, ":")
	switch kind {
	case "file":
		if _, err := os.Stat(rest); errors.Is(err, fs.ErrNotExist) && !mayMake {
			return nil, ErrNoMasterKey
		}
		return near(OpenMasterKey(rest))
	case "env":
		return near(fromEnvironment(rest))
	case "exec":
		k := &remoteKey{where: source, ask: program(rest)}
		return k, k.describe(ctx)
	case "https", "http":
		ask, err := service(source, taken(TokenVariable))
		if err != nil {
			return nil, err
		}
		k := &remoteKey{where: source, ask: ask}
		return k, k.describe(ctx)
	}
	return nil, errNoSource
}

// near keeps a nil pointer from becoming a MasterKey that is not nil.
func near(key *LocalKey, err error) (MasterKey, error) {
	if err != nil {
		return nil, err
	}
	return key, nil
}

func fromEnvironment(name string) (*LocalKey, error) {
	text := taken(name)
	if text == "" {
		return nil, fmt.Errorf("set %s to 32 random bytes in base64 (openssl rand -base64 32)", name)
	}
	return ParseMasterKey(text)
}

var (
	takenMu sync.Mutex
	takenAs = map[string]string{}
)

// taken returns an environment variable, and takes it out of the environment: no program that we start inherits it.
// Within this process it is remembered.
func taken(name string) string {
	takenMu.Lock()
	defer takenMu.Unlock()
	if text, ok := os.LookupEnv(name); ok {
		takenAs[name] = text
		_ = os.Unsetenv(name)
	}
	return takenAs[name]
}
