package command

// A UserList asks which users have an account on a Mac or a Shared iPad.
//
// iOS 9.3, macOS 10.13. It needs supervision on macOS. Source: Apple, UserListCommand.
type UserList struct{}

// RequestType is UserList.
func (UserList) RequestType() string { return "UserList" }
