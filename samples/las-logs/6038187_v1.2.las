#------------------------------------------------------------
~VERSION INFORMATION
VERS.               2.0  :CWLS LOG ASCII STANDARD - VERSION 2.0
WRAP.                NO  :ONE LINE PER DEPTH STEP
#------------------------------------------------------------
~WELL INFORMATION
STRT.M        0.0500000  :FIRST INDEX VALUE
STOP.M         0.200000  :LAST INDEX VALUE
STEP.M        0.0500000  :STEP
NULL.            -99999  :NULL VALUE
COMP.                    :COMP
WELL.        Made-up E1  :WELL
FLD.                     :
LOC.             Mt Eba  :LOC
SRVC.                    :
CTRY.                    :
STAT.                SA  :STAT
CNTY.                    :
DATE.        15/03/2015  :DATE
UWI.           9999-001  :WUNT
#------------------------------------------------------------
~CURVE INFORMATION
DEPT.M                   :DEPTH
CALI.MM                  :CALI
DFAR.G/CM3               :DFAR
DNEAR.G/CM3              :DNEAR
GAMN.GAPI                :GAMN
NEUT.CPS                 :NEUT
PR.OHM/M                 :PR
SP.MV                    :SP
COND.MS/M                :COND
#------------------------------------------------------------
~PARAMETER INFORMATION
BS.              216 mm  :BS
PURP. Cased hole stratigraphy  :PURP
X.              0560160  :X
Y.              6686430  :Y
TDL.            135.2 m  :TDL
ZONE.               53J  :ZONE
DREF.                GL  :DREF
#------------------------------------------------------------
~A   DEPT[M]        CALI        DFAR       DNEAR        GAMN        NEUT          PR          SP        COND
   0.0500000     49.7000     4.58000     3.38000    -99999.0    -99999.0    -99999.0    -99999.0    -99999.0
    0.100000     49.7000     4.58000     3.38000    -2324.00    -99999.0     115.500    -3.04000    -116.900
    0.150000     50.1000     2.61000     2.40000     35.2000     812.000     98.3000    -2.90000     12.4000
    0.200000     50.2000     2.62000     2.41000     36.8000     809.000     97.1000    -2.80000     12.6000
