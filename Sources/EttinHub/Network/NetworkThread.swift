import Ccurl
import EttinFiles
import Foundation
import Synchronization

/// The thread that moves the bytes of all transfers of a client; it ends with this object.
final class NetworkThread: Sendable {
    let loop: NetworkLoop

    /// Starts the thread.
    ///
    /// - Throws: `ConnectionFailure`, because without it no server can be reached.
    init(settings: TransferSettings, host: String) throws {
        func failure(_ reason: String) -> ConnectionFailure {
            ConnectionFailure(host: host, reason: reason, isRefusal: true, isPermanent: true)
        }
        guard Self.isLibraryReady, let loop = NetworkLoop(settings: settings) else {
            throw failure("libcurl cannot be started")
        }
        self.loop = loop
        let status = DetachedThread.start {
            // A connection that the other side has closed is an error of the transfer, and not the end of the process.
            var signals = sigset_t()
            sigemptyset(&signals)
            sigaddset(&signals, SIGPIPE)
            pthread_sigmask(SIG_BLOCK, &signals, nil)
            loop.run()
        }
        guard status == 0 else { throw failure("no thread can be created (\(String(cString: strerror(status))))") }
    }

    deinit {
        loop.stop()
    }

    private static let isLibraryReady = curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK
}

/// What all transfers of a client have in common.
struct TransferSettings: Sendable {
    /// How long a connection may take to open.
    let connectTimeout: Duration
    /// How long a transfer may stand still.
    let stallTimeout: Duration
    /// A file of certificates to trust instead of the system's.
    let certificateFile: String?
}

/// The work of the network's thread: one libcurl "multi" handle that serves all transfers at once.
final class NetworkLoop: Sendable {
    enum Command: Sendable {
        case start(Transfer)
        /// There is room for bytes again.
        case resume(Transfer)
        case cancel(Transfer)
    }

    private struct Inbox {
        var commands: [Command] = []
        var isStopped = false
    }

    /// Not checked: apart from being woken up, which any thread may do, it is used by the network's thread alone.
    private struct Handle: @unchecked Sendable {
        let pointer: UnsafeMutableRawPointer
    }

    private let settings: TransferSettings
    private let multi: Handle
    private let inbox = Mutex(Inbox())

    init?(settings: TransferSettings) {
        guard let pointer = curl_multi_init() else { return nil }
        multi = Handle(pointer: pointer)
        self.settings = settings
    }

    deinit {
        curl_multi_cleanup(multi.pointer)
    }

    func post(_ command: Command) {
        inbox.withLock { inbox in
            inbox.commands.append(command)
            curl_multi_wakeup(multi.pointer)
        }
    }

    func stop() {
        inbox.withLock { inbox in
            inbox.isStopped = true
            curl_multi_wakeup(multi.pointer)
        }
    }

    func run() {
        var transfers: [ObjectIdentifier: RunningTransfer] = [:]
        while true {
            let (commands, isStopped) = inbox.withLock { inbox in
                defer { inbox.commands = [] }
                return (inbox.commands, inbox.isStopped)
            }
            for command in commands { obey(command, &transfers) }
            guard !isStopped else { break }
            var count: Int32 = 0
            curl_multi_perform(multi.pointer, &count)
            while let message = curl_multi_info_read(multi.pointer, &count)?.pointee {
                guard message.msg == CURLMSG_DONE,
                    let (id, transfer) = transfers.first(where: { $0.value.handle == message.easy_handle })
                else { continue }
                transfer.finish(message.data.result)
                remove(id, &transfers)
            }
            let now = ContinuousClock.now
            for (id, transfer) in transfers {
                transfer.flush()
                if transfer.hasStalled(at: now) { remove(id, &transfers) }
            }
            // Without transfers only a command gives it something to do.
            curl_multi_poll(multi.pointer, nil, 0, transfers.isEmpty ? 60_000 : 100, nil)
        }
        for id in transfers.keys { remove(id, &transfers) }
    }

    private func obey(_ command: Command, _ transfers: inout [ObjectIdentifier: RunningTransfer]) {
        switch command {
        case .start(let transfer):
            guard !transfer.hasEnded else { return }
            guard let running = RunningTransfer(transfer, settings: settings),
                curl_multi_add_handle(multi.pointer, running.handle) == CURLM_OK
            else {
                let host = transfer.request.address.displayedHost
                transfer.end(.failure(ConnectionFailure(host: host, reason: "libcurl refuses the request")))
                return
            }
            transfers[ObjectIdentifier(transfer)] = running
        case .resume(let transfer): transfers[ObjectIdentifier(transfer)]?.resume()
        case .cancel(let transfer): remove(ObjectIdentifier(transfer), &transfers)
        }
    }

    private func remove(_ id: ObjectIdentifier, _ transfers: inout [ObjectIdentifier: RunningTransfer]) {
        guard let transfer = transfers.removeValue(forKey: id) else { return }
        withExtendedLifetime(transfer) { _ = curl_multi_remove_handle(multi.pointer, transfer.handle) }
    }
}
