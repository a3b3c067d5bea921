package main

import "github.com/rollcall-mdm/rollcall/handlers"

// library is the use case of the configuration profiles that are kept here.
func (s *server) library() *handlers.Library {
	return &handlers.Library{Profiles: s.profiles, Things: s.house.wanted, Views: s.views, Stamp: s.pseudonyms.Stamp}
}
