/// The numbers of pages in use, which are taken again when nobody uses them any more.
///
/// The lowest are taken first, so that what must hold all pages in use need not hold many more.
struct CachePagePool {
    /// How many use each page, the last of which is in use.
    private var users: [Int32] = []
    /// No page below it is unused.
    private var lowestUnused = 0

    /// One more than the largest number in use.
    var count: Int { users.count }

    /// Takes a page for one user.
    mutating func take() -> Int32 {
        while lowestUnused < users.count, users[lowestUnused] > 0 { lowestUnused += 1 }
        if lowestUnused == users.count { users.append(0) }
        users[lowestUnused] = 1
        defer { lowestUnused += 1 }
        return Int32(lowestUnused)
    }

    /// Adds a user of a page.
    mutating func share(_ page: Int32) { users[Int(page)] += 1 }

    /// Takes back a page from one user.
    mutating func release(_ page: Int32) {
        users[Int(page)] -= 1
        guard users[Int(page)] == 0 else { return }
        lowestUnused = min(lowestUnused, Int(page))
        while users.last == 0 { users.removeLast() }
    }
}
