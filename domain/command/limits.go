package command

import (
	"fmt"
	"strconv"
	"strings"
)

// limits reads words like iOS(11.0,supervised) and returns the others as they stand.
func limits(words []string) (found []Support, rest []string, err error) {
	for _, word := range words {
		platform, inside, is := strings.Cut(word, "(")
		if !is || strings.Contains(platform, "=") {
			rest = append(rest, word)
			continue
		}
		s := Support{Platform: Platform(platform)}
		if err := limit(&s, strings.Split(strings.TrimSuffix(inside, ")"), ",")); err != nil {
			return nil, nil, err
		}
		found = append(found, s)
	}
	return found, rest, nil
}

// limit adds to s what the words say.
func limit(s *Support, words []string) error {
	for _, word := range words {
		name, value, _ := strings.Cut(word, ":")
		switch name {
		case "none":
			s.Absent = true
		case "deprecated":
			s.Deprecated = value
		case "removed":
			s.Removed = value
		case "rights":
			if s.RightsPerQuery = value == "per-query"; !s.RightsPerQuery {
				s.Rights, _ = strconv.Atoi(value)
			}
		case "supervised":
			s.Supervised = true
		case "supervised-later":
			s.SupervisedLater = true
		case "automated":
			s.Automated = true
		case "user-approved":
			s.UserApproved = true
		case "channels":
			s.Channels = strings.Split(value, "+")
		case "shared":
			s.SharedIPad = value
		case "shared-channels":
			s.SharedChannels = strings.Split(value, "+")
		case "enrolments":
			s.Enrolments = strings.Split(value, "+")
		case "user-enrolment":
			s.UserEnrolment = value
		default:
			if name == "" || name[0] < '0' || name[0] > '9' {
				return fmt.Errorf("no limit is called %q", word)
			}
			s.Introduced = name
		}
	}
	return nil
}
