package domain_test

import (
	"slices"
	"testing"
	"time"

	"github.com/rollcall-mdm/rollcall/domain"
)

func TestWhenSomebodyIsToldOfAnEnd(t *testing.T) {
	end := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for life, want := range map[int][]int{3650: {60, 30, 14, 7, 1, 0}, 365: {60, 30, 14, 7, 1, 0}, 90: {30, 14, 7, 1, 0}, 47: {14, 7, 1, 0}, 6: {1, 0}, 1: {0}} {
		var told []int
		for hour := -24 * 90; hour < 48; hour++ {
			days, due := domain.EndDue(end.AddDate(0, 0, -life), end, end.Add(time.Duration(hour)*time.Hour))
			if due && !slices.Contains(told, days) {
				told = append(told, days)
			}
		}
		if !slices.Equal(told, want) {
			t.Errorf("of %d days: told %v days before, want %v", life, told, want)
		}
	}
	if days, due := domain.EndDue(time.Time{}, end, end.AddDate(0, 0, -60)); !due || days != 60 {
		t.Errorf("of a life whose beginning nobody knows: %d, %t", days, due)
	}
}
