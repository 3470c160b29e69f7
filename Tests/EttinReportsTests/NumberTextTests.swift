import Testing

@testable import EttinReports

@Suite("Numbers for people")
struct NumberTextTests {
    @Test(
        "digits that matter",
        arguments: [
            (0.0008, "0.000800"), (0.00005, "5.00e-05"), (9.996, "10.0"), (12.34, "12.3"), (-1234.0, "-1234"), (0, "0"),
            (.nan, "NaN"), (-.infinity, "-∞"), (1e12, "1.00e+12"), (0.0009999, "0.00100"),
        ]
    )
    func significant(value: Double, text: String) {
        #expect(NumberText.significant(value, digits: 3) == text)
    }

    @Test(
        "fixed digits",
        arguments: [(2.0049, "2.00"), (-0.001, "0.00"), (-1.5, "-1.50"), (1e20, "1e+20"), (.nan, "NaN")]
    )
    func fixed(value: Double, text: String) {
        #expect(NumberText.fixed(value, places: 2) == text)
    }

    @Test(
        "four digits at most",
        arguments: [
            (0.0015000000001, "0.0015"), (3e-13, "3e-13"), (99999, "99999"), (1_234_567, "1234567"), (0.02, "0.02"),
            (-12.5, "-12.5"), (0, "0"), (160_000, "160000"), (1.25e12, "1.25e+12"),
        ]
    )
    func shortest(value: Double, text: String) {
        #expect(NumberText.shortest(value) == text)
    }

    @Test("counts, bytes, times and groups")
    func others() {
        #expect([999, 1000, 12_345, 1.7e12].map { NumberText.compact($0) } == ["999", "1k", "12.3k", "1.7T"])
        #expect([0.5, 1_048_576].map { NumberText.compact($0, digits: 4) } == ["0.5", "1.049M"])
        #expect([999, 1500, 1_234_000_000, 45e9].map(NumberText.bytes) == ["999 B", "1.5 kB", "1.2 GB", "45 GB"])
        #expect([59.6, 3661, 90_061, .nan].map(NumberText.duration) == ["01:00", "1:01:01", "1d 01:01:01", "00:00"])
        #expect([0, 999, 1000, -1_234_567].map(NumberText.grouped) == ["0", "999", "1,000", "-1,234,567"])
    }
}
