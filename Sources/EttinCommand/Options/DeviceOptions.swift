import ArgumentParser
import Torch

/// Where a command computes.
struct DeviceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Where to compute: cpu, cuda, cuda:N or mps; cpu, or what a recipe says, unless given.",
            valueName: "device"
        )
    )
    var device: String?

    @Option(help: ArgumentHelp("CPU threads; as many as the machine allows unless given.", valueName: "count"))
    var threads: Int?

    func validate() throws {
        if let device, Device.Kind(rawValue: String(device.prefix { $0 != ":" })) == nil {
            throw ValidationError("--device is \"\(device)\"; expected cpu, cuda, cuda:N or mps")
        }
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads is \(threads); expected 1 to 1024")
        }
    }

    /// Sets the number of threads and finds the device.
    ///
    /// - Parameter other: The device where none was given.
    /// - Returns: The device.
    /// - Throws: `DeviceError` when this machine does not have it.
    func prepare(orElse other: String = "cpu") throws -> Device {
        if let threads { TorchRuntime.setThreadCount(threads) } else { TorchRuntime.respectProcessorQuota() }
        if let count = TorchRuntime.respectThreadLimit() {
            Diagnostics.note("note: computing with \(count) threads: the system lets this process start no more")
        }
        return try Device(device ?? other)
    }
}
