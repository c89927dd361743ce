; Operating systems by their SYNs and SYN-ACKs, in the format of p0f 3. Written for the sensor, from what systems are known to send;
; a full list, under another licence, is p0f's own file (Debian: /etc/p0f/p0f.fp), which can be given instead.
;
; sig = version:ttl:length of IP options:MSS:window,scale:TCP options:quirks:payload

classes = win,unix,other

[mtu]

label = Ethernet
sig = 1500
label = PPPoE
sig = 1492
label = GRE
sig = 1476
label = IPIP or SIT
sig = 1480
label = WireGuard
sig = 1420
label = mobile network
sig = 1400
label = jumbo frames
sig = 9000
label = loopback
sig = 65535

[tcp:request]

label = s:unix:Linux:4.19 and newer
sig = *:64:0:*:mss*44,7:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*45,7:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*44,9:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*44,10:mss,sok,ts,nop,ws:df,id+:0
; Its loopback.
sig = *:64:0:65495:mss*1,*:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:65475:mss*1,*:mss,sok,ts,nop,ws:df,id+:0

label = s:unix:Linux:3.11 to 4.18
sig = *:64:0:*:mss*20,7:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*20,10:mss,sok,ts,nop,ws:df,id+:0

label = s:unix:Linux:3.0 to 3.10
sig = *:64:0:*:mss*10,4:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*10,5:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*10,6:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*10,7:mss,sok,ts,nop,ws:df,id+:0

label = s:unix:Linux:2.6
sig = *:64:0:*:mss*4,5:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*4,6:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*4,7:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*4,8:mss,sok,ts,nop,ws:df,id+:0

label = s:unix:Linux:2.4
sig = *:64:0:*:mss*4,0:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*4,1:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*4,2:mss,sok,ts,nop,ws:df,id+:0

label = s:unix:Linux:Android
sig = *:64:0:*:65535,6:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:65535,8:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:65535,9:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*44,1:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*44,3:mss,sok,ts,nop,ws:df,id+:0

label = g:unix:Linux:
sig = *:64:0:*:mss*4,*:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*10,*:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*20,*:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:mss*44,*:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:*,*:mss,sok,ts,nop,ws:df,id+:0
sig = *:64:0:*:*,*:mss,nop,nop,sok,nop,ws:df,id+:0

label = s:win:Windows:XP
sig = *:128:0:*:16384,0:mss,nop,nop,sok:df,id+:0
sig = *:128:0:*:65535,0:mss,nop,nop,sok:df,id+:0
sig = *:128:0:*:65535,0:mss,nop,ws,nop,nop,sok:df,id+:0
sig = *:128:0:*:65535,1:mss,nop,ws,nop,nop,sok:df,id+:0
sig = *:128:0:*:65535,2:mss,nop,ws,nop,nop,sok:df,id+:0

label = s:win:Windows:Vista to 8
sig = *:128:0:*:8192,0:mss,nop,nop,sok:df,id+:0
sig = *:128:0:*:8192,2:mss,nop,ws,nop,nop,sok:df,id+:0
sig = *:128:0:*:8192,8:mss,nop,ws,nop,nop,sok:df,id+:0
sig = *:128:0:*:8192,2:mss,nop,ws,sok,ts:df,id+:0
sig = *:128:0:*:8192,8:mss,nop,ws,sok,ts:df,id+:0

label = s:win:Windows:10 and newer
sig = *:128:0:*:mss*44,8:mss,nop,ws,nop,nop,sok:df,id+:0
sig = *:128:0:*:mss*45,8:mss,nop,ws,nop,nop,sok:df,id+:0
sig = *:128:0:*:65535,8:mss,nop,ws,nop,nop,sok:df,id+:0
sig = *:128:0:*:64800,8:mss,nop,ws,nop,nop,sok:df,id+:0

label = g:win:Windows:
sig = *:128:0:*:*,*:mss,nop,nop,sok:df,id+:0
sig = *:128:0:*:*,*:mss,nop,ws,nop,nop,sok:df,id+:0
sig = *:128:0:*:*,*:mss,nop,ws,sok,ts:df,id+:0

label = s:unix:macOS:10.6 and older
sig = *:64:0:*:65535,0:mss,nop,ws,nop,nop,ts:df,id+:0
sig = *:64:0:*:65535,0:mss,nop,ws,nop,nop,ts,sok,eol+1:df,id+:0
sig = *:64:0:*:65535,1:mss,nop,ws,nop,nop,ts,sok,eol+1:df,id+:0
sig = *:64:0:*:65535,2:mss,nop,ws,nop,nop,ts,sok,eol+1:df,id+:0
sig = *:64:0:*:65535,3:mss,nop,ws,nop,nop,ts,sok,eol+1:df,id+:0

label = s:unix:macOS:10.7 and newer, iOS
sig = *:64:0:*:65535,4:mss,nop,ws,nop,nop,ts,sok,eol+1:df,id+:0
sig = *:64:0:*:65535,5:mss,nop,ws,nop,nop,ts,sok,eol+1:df,id+:0
sig = *:64:0:*:65535,6:mss,nop,ws,nop,nop,ts,sok,eol+1:df,id+:0
sig = *:64:0:*:65535,7:mss,nop,ws,nop,nop,ts,sok,eol+1:df,id+:0
sig = *:64:0:*:65535,5:mss,nop,ws,nop,nop,ts,sok,eol+1:df:0
sig = *:64:0:*:65535,6:mss,nop,ws,nop,nop,ts,sok,eol+1:df:0
sig = *:64:0:*:65535,7:mss,nop,ws,nop,nop,ts,sok,eol+1:df:0

label = g:unix:macOS:or iOS
sig = *:64:0:*:*,*:mss,nop,ws,nop,nop,ts,sok,eol+1:df,id+:0
sig = *:64:0:*:*,*:mss,nop,ws,nop,nop,ts,sok,eol+1:df:0

label = s:unix:FreeBSD:
sig = *:64:0:*:65535,1:mss,nop,ws,nop,nop,ts,sok,eol+1:df,id+,ts1-:0
sig = *:64:0:*:65535,3:mss,nop,ws,sok,ts:df,id+:0
sig = *:64:0:*:65535,6:mss,nop,ws,sok,ts:df,id+:0
sig = *:64:0:*:65535,7:mss,nop,ws,sok,ts:df,id+:0
sig = *:64:0:*:65535,6:mss,nop,ws,sok,ts:df:0
sig = *:64:0:*:65535,7:mss,nop,ws,sok,ts:df:0

label = s:unix:OpenBSD:
sig = *:64:0:*:16384,0:mss,nop,nop,sok,nop,ws,nop,nop,ts:df,id+:0
sig = *:64:0:*:16384,3:mss,nop,nop,sok,nop,ws,nop,nop,ts:df,id+:0
sig = *:64:0:*:16384,6:mss,nop,nop,sok,nop,ws,nop,nop,ts:df,id+:0

label = s:other:lwIP:embedded devices, such as ESP8266 and ESP32
sig = *:255:0:*:mss*2,0:mss::0
sig = *:255:0:*:mss*4,0:mss::0
sig = *:64:0:*:mss*4,0:mss::0
sig = *:255:0:*:mss*4,0:mss,nop,nop,sok::0
sig = *:64:0:*:mss*4,0:mss,nop,nop,sok::0

label = s:!:Nmap:SYN scan
sig = *:64-:0:1460:1024,0:mss::0
sig = *:64-:0:1460:2048,0:mss::0
sig = *:64-:0:1460:3072,0:mss::0
sig = *:64-:0:1460:4096,0:mss::0

[tcp:response]

label = s:unix:Linux:4.19 and newer
sig = *:64:0:*:mss*45,*:mss,sok,ts,nop,ws:df:0
sig = *:64:0:*:65160,*:mss,sok,ts,nop,ws:df:0
sig = *:64:0:65495:65483,*:mss,sok,ts,nop,ws:df:0
sig = *:64:0:65475:65463,*:mss,sok,ts,nop,ws:df:0
sig = *:64:0:*:mss*44,*:mss,nop,nop,sok,nop,ws:df:0

label = s:unix:Linux:3.11 to 4.18
sig = *:64:0:*:28960,*:mss,sok,ts,nop,ws:df:0
sig = *:64:0:*:mss*20,*:mss,sok,ts,nop,ws:df:0
sig = *:64:0:*:mss*20,*:mss,nop,nop,sok,nop,ws:df:0

label = s:unix:Linux:3.0 to 3.10
sig = *:64:0:*:mss*10,*:mss,sok,ts,nop,ws:df:0
sig = *:64:0:*:mss*10,*:mss,nop,nop,sok,nop,ws:df:0

label = s:unix:Linux:2.4 to 2.6
sig = *:64:0:*:mss*4,*:mss,sok,ts,nop,ws:df:0
sig = *:64:0:*:mss*4,*:mss,nop,nop,sok,nop,ws:df:0
sig = *:64:0:*:mss*4,0:mss,nop,nop,sok:df:0
sig = *:64:0:*:mss*4,0:mss,nop,nop,ts:df:0

label = g:unix:Linux:
sig = *:64:0:*:*,*:mss,sok,ts,nop,ws:df:0

label = s:win:Windows:XP
sig = *:128:0:*:65535,0:mss,nop,ws,nop,nop,ts,nop,nop,sok:df,id+,ts1-:0
sig = *:128:0:*:65535,0:mss,nop,nop,sok:df,id+:0

label = s:win:Windows:Vista and newer
sig = *:128:0:*:8192,8:mss,nop,ws,nop,nop,sok:df,id+:0
sig = *:128:0:*:8192,8:mss,nop,ws,sok,ts:df,id+:0
sig = *:128:0:*:65535,8:mss,nop,ws,nop,nop,sok:df,id+:0
sig = *:128:0:*:65535,8:mss,nop,ws,sok,ts:df,id+:0
sig = *:128:0:*:mss*44,8:mss,nop,ws,nop,nop,sok:df,id+:0

label = s:unix:FreeBSD:
sig = *:64:0:*:65535,6:mss,nop,ws,sok,ts:df,id+:0
sig = *:64:0:*:65535,6:mss,nop,ws,sok,ts:df:0
sig = *:64:0:*:65535,7:mss,nop,ws,sok,ts:df,id+:0

label = s:unix:macOS:or iOS
sig = *:64:0:*:65535,*:mss,nop,ws,nop,nop,ts,sok,eol+1:df,id+:0
sig = *:64:0:*:65535,*:mss,nop,ws,nop,nop,ts,sok,eol+1:df:0
