/// The numbers of pages in use, which are taken again when nobody uses them any more.
struct CachePagePool {
    /// How many use each page.
    private var users: [Int32] = []
    private var unused: [Int32] = []

    /// One more than the largest number ever taken.
    var count: Int { users.count }

    /// Takes a page for one user.
    mutating func take() -> Int32 {
        if let page = unused.popLast() {
            users[Int(page)] = 1
            return page
        }
        users.append(1)
        return Int32(users.count - 1)
    }

    /// Adds a user of a page.
    mutating func share(_ page: Int32) { users[Int(page)] += 1 }

    /// Takes back a page from one user.
    mutating func release(_ page: Int32) {
        users[Int(page)] -= 1
        if users[Int(page)] == 0 { unused.append(page) }
    }
}
